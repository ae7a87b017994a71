"""What was measured of a run's weights, checkpoint by checkpoint: on the way, and by its evaluations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlexp import chosen
from rlexp.errors import printable
from rlexp.inputs.digest import json_sha256
from rlexp.record import evaluation
from rlexp.record.finished import FinishedRun
from rlexp.report.charts import Chart, Series, number

BASE = "base"
Z = 1.96
"""Standard errors to each side of a mean: 95%."""


@dataclass(frozen=True)
class Estimate:
    """A metric of a subject."""

    subject: str
    step: int | None
    """The step of its weights; None of what is no checkpoint of this run."""
    metric: str
    mean: float | None
    low: float | None
    high: float | None
    prompts: int


@dataclass(frozen=True)
class Difference:
    """What was claimed of two subjects."""

    metric: str
    one: str
    other: str
    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    """After Holm's correction over the claims of the evaluation."""


@dataclass(frozen=True)
class Task:
    """A task, with everything that was measured by it alike."""

    name: str
    estimates: list[Estimate]
    differences: list[Difference]


def on_the_way(run: FinishedRun) -> tuple[Chart | None, str]:
    """(the means that the choice of a checkpoint was made by, the reason of the choice).

    Raises:
        RunError: what was measured cannot be read.
    """
    selection = run.manifest.get("selection") or {}
    points = [(one["step"], one["mean"], one["standard_error"]) for one in selection.get("measured", ())]
    if not points:
        points = [_mean(line) for line in chosen.lines(run.run_dir) if any(v is not None for v in line["values"])]
    if not points:
        return None, ""
    points.sort(key=lambda point: point[0])
    metric = printable(str(selection.get("metric") or chosen.lines(run.run_dir)[-1]["metric"]))
    errors = [Z * error if error is not None else None for _, _, error in points]
    series = Series(
        metric,
        [number(mean) for _, mean, _ in points],
        [number(p[1] - e) if e is not None else None for p, e in zip(points, errors, strict=True)],
        [number(p[1] + e) if e is not None else None for p, e in zip(points, errors, strict=True)],
        points=True,
    )
    x = [float(step) for step, _, _ in points]
    best, why = selection.get("step"), printable(str(selection.get("why", "")))
    about = "held-out rows that choose, 95% intervals" + ("; the chosen step is marked" if best is not None else "")
    chart = Chart("selection", f"Chosen by {metric}", about, x, [series], smooth=False, best=best)
    return chart, f"Step {best} was chosen: {why}." if best is not None else ""


def tasks(run: FinishedRun) -> list[Task]:
    """What the evaluations in the run's folder found, those of the same task, seed and engine together.

    Raises:
        RunError: an evaluation has another shape.
    """
    found: dict[tuple[str, str], tuple[dict[tuple[str, str], Estimate], dict[Any, Difference]]] = {}
    for file in evaluation.of_run(run.run_dir):
        content = evaluation.read(file)
        for name, results in content["results"].items():
            key = (name, json_sha256([content["tasks"].get(name), content["seed"], content["engine"]]))
            estimates, differences = found.setdefault(key, ({}, {}))
            for one in _estimates(run, results):
                estimates[one.subject, one.metric] = one
            for difference in _differences(content["differences"].get(name, ())):
                differences[difference.metric, difference.one, difference.other] = difference
    return [
        Task(name, sorted(estimates.values(), key=_order), list(differences.values()))
        for (name, _), (estimates, differences) in found.items()
    ]


def charts(task: Task, place: int) -> list[Chart]:
    """The metrics of a task over the steps of the checkpoints that it was asked of; none of fewer than two.

    Args:
        place: of the task, for the charts' names.
    """
    found: list[Chart] = []
    for metric in dict.fromkeys(one.metric for one in task.estimates):
        own = {one.step: one for one in task.estimates if one.metric == metric and one.step is not None}
        known = [own[step] for step in sorted(own) if own[step].mean is not None]
        if len(known) < 2:
            continue
        means = [number(one.mean) for one in known]
        low, high = [number(one.low) for one in known], [number(one.high) for one in known]
        series = [Series(metric, means, low, high, points=True)]
        x = [float(one.step or 0) for one in known]
        title, about = f"{task.name}: {metric}", "95% intervals over prompts"
        found.append(Chart(f"task{place}-{len(found)}", title, about, x, series, smooth=False))
    return found


def _mean(line: Mapping[str, Any]) -> tuple[int, float, float | None]:
    values = [value for value in line["values"] if value is not None]
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values) / len(values)
    return line["step"], mean, (spread / len(values)) ** 0.5


def _estimates(run: FinishedRun, results: Mapping[str, Mapping[str, Any]]) -> list[Estimate]:
    return [
        Estimate(subject, _step(run, subject), metric, one["mean"], one["low"], one["high"], one["prompts"])
        for subject, metrics in results.items()
        for metric, one in metrics.items()
    ]


def _differences(rows: Sequence[Mapping[str, Any]]) -> list[Difference]:
    keys = ("metric", "one", "other", "mean", "low", "high")
    return [Difference(**{key: one[key] for key in keys}, p=one.get("p_holm")) for one in rows if one.get("claimed")]


def _step(run: FinishedRun, subject: str) -> int | None:
    """The step of a subject's weights, where they are this run's or what it began with."""
    own = os.path.relpath(run.run_dir, run.root)
    fork = run.manifest.get("fork") or {}
    began = fork.get("step", 0)
    name, _, step = subject.rpartition("@")
    if subject in (BASE, f"{own}@{BASE}"):
        return began
    if subject == own:
        return (run.manifest.get("steps") or {}).get("done")
    if name != own:
        return None
    return int(step) if step.isdecimal() and len(step) < 12 else (run.manifest.get("selection") or {}).get("step")


def _order(one: Estimate) -> tuple[bool, int, str]:
    return one.step is None, one.step or 0, one.subject
