"""Benchmark: what the artifacts of a run cost and what they are worth, on this machine; the one way to it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlexp.api.evaluate import evaluate_plan, plan_of
from rlexp.benchmark import latency, measure, plots
from rlexp.benchmark.measure import Asked, Settings
from rlexp.compose import exports as composed
from rlexp.compose import task_file
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.compose.schema_eval import Kind
from rlexp.errors import RunError, nearest
from rlexp.evaluate import subjects
from rlexp.evaluate.artifact_sampler import spec_of
from rlexp.evaluate.dialogues import dialogues_of
from rlexp.evaluate.evaluation import Plan
from rlexp.evaluate.results import main_metric
from rlexp.inputs.digest import json_sha256
from rlexp.record import benchmarks, exports
from rlexp.record.exports import Artifact
from rlexp.record.machine import machine
from rlexp.runtimes.host import Died
from rlexp.runtimes.protocol import Spec

Said = Callable[[str], None]
Counter = Callable[[int], Any]
SAMPLES = 4
"""Completions of a prompt that the task is scored by: pass^4 is whether all are right."""


@dataclass(frozen=True)
class Planned:
    """A benchmark, checked before anything is loaded."""

    run: str
    """As it is named on the command line, with the step that was exported."""
    folder: Path
    """Of the export."""
    artifacts: list[Artifact]
    plans: dict[str, Plan]
    """Artifact -> the evaluation of the run and of it."""
    how: Settings
    again: bool
    root: Path


@dataclass(frozen=True)
class Benchmarked:
    """A benchmark that was made."""

    folder: Path
    content: dict[str, Any]
    """What ``benchmark.json`` holds."""
    plots: list[Path] = dataclasses.field(default_factory=list)

    @property
    def died(self) -> list[str]:
        """The artifacts that died."""
        return [name for name, one in self.content["artifacts"].items() if one["died"]]


def planned(word: str, overrides: Sequence[str], how: Settings, here: Path, root: Path, again: bool = False) -> Planned:
    """What is to be benchmarked.

    Args:
        word: the run, whose exports are there.
        overrides: ``export=`` for some of its formats only, ``export.dir=``, ``eval=TASK``, ``eval.KEY=``,
            ``hardware=``.
        again: measure also what was measured before.

    Raises:
        RunError: the word names no run, nothing of it is exported, or the task is none of completions.
    """
    rest, asked = composed.take(overrides)
    evals = [one for one in rest if one.lstrip("+").partition("=")[0].partition(".")[0] == task_file.ROOT]
    hardware = [one for one in rest if subjects.OF_HARDWARE.match(one)]
    if unread := [one for one in rest if one not in [*evals, *hardware]]:
        hint = "leave it out; a benchmark reads export=FORMATS, eval=TASK, eval.KEY=VALUE and hardware=NAME"
        raise RunError("artifacts are measured as they are, and this would not be read", " ".join(unread), hint)
    found = subjects.read([word], hardware, here, root)
    of = next((one for one in found if one.original and one.weights), None)
    if of is None or of.original is None:
        hint = "name a run: python -m rlexp runs lists them"
        raise RunError(f"{word} is no run, and the artifacts of a run are measured", f"benchmark {word}", hint)
    wanted = composed.read(asked, of.run.places, of.run.hardware.device is Device.cuda)
    folder = root / wanted.typed.dir if wanted.typed.dir else exports.folder_of(of.original.run_dir, root)
    exports.require_inside(folder, root)
    run = of.name.partition("@")[0]
    artifacts = _chosen(exports.artifacts(folder), asked.names, run, os.path.relpath(folder, root))
    step = artifacts[0].content["of"]["step"]
    if not any(one.lstrip("+").startswith(f"{task_file.ROOT}=") for one in evals):
        evals = [f"{task_file.ROOT}={wanted.typed.task}", *evals]
    run = run if step is None else f"{run}@{step}"
    plans = {one.name: _plan(run, one, evals, hardware, root) for one in artifacts}
    return Planned(run, folder, artifacts, plans, how, again, root)


def _chosen(there: list[Artifact], formats: Sequence[str], run: str, place: str) -> list[Artifact]:
    """The artifacts of some formats; all where none is named.

    Raises:
        RunError: there is none, or they are of another run.
    """
    typed = f"type python -m rlexp export {run} {composed.ROOT}=merged+gguf"
    if not there:
        raise RunError(f"nothing of {run} is exported", where=place, hint=f"{typed} first")
    if other := next((one for one in there if one.content["of"]["run"] != run), None):
        hint = f"type {composed.ROOT}.dir=exports/NAME, where those of {run} are"
        raise RunError(f"the exports of {other.content['of']['run']} lie there", where=place, hint=hint)
    kinds = list(dict.fromkeys(one.content["kind"] for one in there))
    for name in formats:
        if name not in kinds:
            hint = f"type {composed.ROOT}={nearest(name, kinds) or kinds[0]}, or export it first"
            raise RunError(f"{name} of {run} is not exported", where=f"{composed.ROOT}={name}", hint=hint)
    return [one for one in there if not formats or one.content["kind"] in formats]


def _plan(run: str, artifact: Artifact, evals: list[str], hardware: list[str], root: Path) -> Plan:
    """The evaluation of an artifact beside its run, with several samples.

    Raises:
        RunError: it is of several tasks, or of one that is not of completions.
    """
    typed = {one.lstrip("+").partition("=")[0] for one in evals}
    name = next(one.partition("=")[2] for one in evals if one.lstrip("+").startswith(f"{task_file.ROOT}="))
    hint = f"type {task_file.ROOT}={task_file.HELD_OUT}, or another task of completions"
    refused = RunError("a benchmark is on one task, of completions", f"{task_file.ROOT}={name}", hint)
    if not re.fullmatch(r"[\w-]+", name):
        raise refused
    pass_at = f"{task_file.ROOT}.{name}.pass_at"
    own = {
        f"{task_file.ROOT}.samples": f"{task_file.ROOT}.samples={SAMPLES}",
        pass_at: f"{pass_at}=[1,{SAMPLES}]",
    }
    more = [override for key, override in own.items() if key not in typed]
    try:
        plan = plan_of([run, os.path.relpath(artifact.folder, root)], [*evals, *more, *hardware], root, root)
    except RunError as error:  # a suite has no settings of its own
        if error.where == own[pass_at]:
            raise refused from error
        raise
    if len(plan.work) != 1 or plan.work[0].settled.named.task.kind is not Kind.completions:
        raise refused
    return dataclasses.replace(plan, subjects=[one for one in plan.subjects if not one.base])


def benchmark(
    asked: Planned, say: Said = lambda line: None, counter: Counter = lambda total: contextlib.nullcontext()
) -> Benchmarked:
    """Measures every artifact that was not measured before on this machine, and writes the record.

    An artifact that dies is a row with its reason.
    """
    first = asked.plans[asked.artifacts[0].name]
    work, run = first.work[0], first.subjects[0].run
    on = Asked(dialogues_of(work, run), work.settled.held_out.max_new_tokens)
    place = _machine()
    rows = _others(asked, run, on, place)
    rows |= {one.name: _row(asked, one, on, place, say, counter) for one in asked.artifacts}
    content = {
        "format": benchmarks.FORMAT,
        "of": asked.artifacts[0].content["of"],
        "machine": place,
        "settings": {**asdict(asked.how), "max_new_tokens": on.max_new_tokens},
        "artifacts": dict(sorted(rows.items())),
        "slow": measure.slow(rows, words(place)),
    }
    benchmarks.write(asked.folder, content)
    return Benchmarked(asked.folder, content, plots.draw(content, asked.folder))


def _machine() -> dict[str, Any]:
    """The machine; its threads, which the runtimes have too, are as many as OMP_NUM_THREADS says, else the cores."""
    import torch  # noqa: F401  # where it is loaded, machine() asks it

    return machine()


def words(place: dict[str, Any]) -> str:
    """A machine in a few words: ``CPU, 2 cores``."""
    gpus = place.get("gpus")
    return f"{len(gpus)} x {gpus[0]}" if gpus else f"CPU, {place['cpus']} cores"


def _keyed(asked: Planned, one: Artifact, run: Run, on: Asked, place: dict[str, Any]) -> tuple[Spec, str]:
    """(an artifact as it is loaded, the hash of all that decides what is measured of it)."""
    spec = spec_of(one, run)
    spec = dataclasses.replace(spec, together=max(latency.LEVELS[spec.device]), threads=place["threads"])
    settings = {**asdict(asked.how), "dialogues": on.dialogues, "max_new_tokens": on.max_new_tokens}
    return spec, json_sha256({**one.digest, **settings, "machine": place, "context": spec.context})


def _others(asked: Planned, run: Run, on: Asked, place: dict[str, Any]) -> dict[str, Any]:
    """The rows of artifacts that were not asked for: they lie there as they were measured, with the same settings."""
    rows = (benchmarks.read(asked.folder) or {}).get("artifacts", {})
    there = [one for one in exports.artifacts(asked.folder) if one.name in rows and one.name not in asked.plans]
    found = {one.name: benchmarks.kept(asked.folder, one.name, _keyed(asked, one, run, on, place)[1]) for one in there}
    return {name: rows[name] for name, one in found.items() if one and not one["died"]}


def _row(
    asked: Planned, one: Artifact, on: Asked, place: dict[str, Any], say: Said, counter: Counter
) -> dict[str, Any]:
    """An artifact's row: what its process gave, and its score."""
    plan = asked.plans[one.name]
    spec, key = _keyed(asked, one, plan.subjects[0].run, on, place)
    found = None if asked.again else benchmarks.kept(asked.folder, one.name, key)
    if found is None or found["died"]:
        found = measure.measure(spec, on, asked.how, lambda part: say(f"{one.name}: {part}"))
        benchmarks.keep(asked.folder, one.name, key, found)
    of = {name: one.content[name] for name in ("kind", "type", "runtime", "tools")}
    row = {**of, "bytes": one.size, "score": None, **found}
    if not found["died"]:
        try:
            row["score"] = _score(plan, asked.again, asked.root, say, counter)
        except RunError as error:
            if not isinstance(error.__cause__, Died):
                raise
            row["died"] = {"part": "the task's score", "why": str(error.__cause__)}
    return row


def _score(plan: Plan, again: bool, root: Path, say: Said, counter: Counter) -> dict[str, Any]:
    """What the task says of an artifact, and of the run."""
    done = evaluate_plan(dataclasses.replace(plan, again=again), say, counter)
    (work,) = plan.work
    run, own = (done.content["results"][work.name][one.name] for one in plan.subjects)
    metric, ends = main_metric(work.settled, list(own)), ("mean", "low", "high")
    kept = {name: {end: one[end] for end in ends} for name, one in own.items()}
    return {
        "task": work.name,
        "metric": metric,
        "samples": work.settled.named.task.samples,
        "prompts": own[metric]["prompts"],
        **kept[metric],
        "pass_hat": {name[5:]: one for name, one in kept.items() if name.startswith("pass^")},
        "run": {end: run[metric][end] for end in ends},
        "file": os.path.relpath(done.file, root),
    }
