"""What the points of a sweep are compared by: a held-out metric of their records, or one of a task they were put to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.compare.sweep import SweepPoint
from rlexp.errors import RunError, nearest
from rlexp.inputs.digest import json_sha256
from rlexp.record import evaluation
from rlexp.record.run_folder import MAIN_METRICS

HELD_OUT, EVALUATED = "held out", "evaluation"
LOWER = ("loss", "perplexity", "bits_per_byte", "truncated", "empty", "tokens")
"""How the metrics end of which less is better; of all others more is."""
LARGEST = 1e100
"""A number from which on nothing is reckoned with it."""


@dataclass(frozen=True)
class Measured:
    """A metric of a point."""

    before: float | None
    after: float

    @property
    def change(self) -> float | None:
        """What training did to it."""
        return None if self.before is None else self.after - self.before


@dataclass(frozen=True)
class Metric:
    """A metric, and its values."""

    name: str
    source: str
    """HELD_OUT or EVALUATED."""
    of: dict[str, Measured]
    """Run folder -> its value."""
    others: tuple[str, ...] = ()
    """The metrics that there are besides."""

    @property
    def higher(self) -> bool:
        """Whether higher is better."""
        return not self.name.endswith(LOWER)


def choose(points: Sequence[SweepPoint], typed: str | None) -> Metric | None:
    """The metric by its name, TASK.METRIC of an evaluation; by default the first of MAIN_METRICS that all points have
    which were measured, else the one that most have. None where nothing was measured.

    Raises:
        RunError: no point has the one that was typed.
    """
    held = _held_out(points)
    known = {**_evaluated(points), **{(HELD_OUT, name): of for name, of in held.items()}}
    names = sorted({name for _, name in known})
    if typed is None:
        main = [name for name in MAIN_METRICS if name in held]
        if not main:
            return None
        most = max(len(held[name]) for name in main)
        typed = next(name for name in main if len(held[name]) == most)
    found = next((key for key in known if key[1] == typed), None)
    if found is None:
        guess = nearest(typed, names)
        hint = f"did you mean --metric {guess}? " if guess else ""
        hint += (
            f"one of: {', '.join(names)}" if names else "nothing was measured: type evaluate RUN ... eval=TASK first"
        )
        raise RunError(f"no point has a metric {typed!r:.80}", where=f"--metric {typed}", hint=hint)
    return Metric(found[1], found[0], known[found], tuple(name for name in names if name != typed))


def _held_out(points: Sequence[SweepPoint]) -> dict[str, dict[str, Measured]]:
    """Metric -> run folder -> its value in the record."""
    found: dict[str, dict[str, Measured]] = defaultdict(dict)
    for point in points:
        for name, row in ((point.manifest or {}).get("held_out") or {}).items():
            if (after := number(row["after"])) is not None:
                found[name][str(point.run_dir)] = Measured(number(row["before"]), after)
    return found


def _evaluated(points: Sequence[SweepPoint]) -> dict[tuple[str, str], dict[str, Measured]]:
    """(EVALUATED, TASK.METRIC) -> run folder -> its value, from the same task, seed and engine for all points.

    An evaluation of several runs lies in the folder of the first. Where a task was changed between two, those count
    that measured more points, of as many the later.
    """
    files = {file for one in points for file in evaluation.of_run(one.run_dir)}
    alike: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))  # task, way, metric, run folder
    for content in map(evaluation.read, sorted(files, key=lambda file: file.stat().st_mtime)):
        for task, results in content["results"].items():
            key = json_sha256([content["tasks"].get(task), content["seed"], content["engine"]])
            for point in points:
                for name, row in _results(results, point.run_dir).items():
                    alike[task][key][name][str(point.run_dir)] = row
    found: dict[tuple[str, str], dict[str, Measured]] = {}
    for task, ways in alike.items():
        most = max(reversed(list(ways.values())), key=lambda metrics: max(map(len, metrics.values())))
        found |= {(EVALUATED, f"{task}.{name}"): of for name, of in most.items()}
    return found


def _results(results: Mapping[str, Mapping[str, Any]], run_dir: Path) -> dict[str, Measured]:
    """Metric -> what an evaluation found of a run: the subject that bears its folder's name, and that of the sweep."""
    name = f"{run_dir.parent.name}/{run_dir.name}"
    own = next((of for subject, of in results.items() if subject == name or subject.endswith(f"/{name}")), {})
    base = results.get("base", {})
    return {
        metric: Measured(number(base.get(metric, {}).get("mean")), after)
        for metric, row in own.items()
        if (after := number(row["mean"])) is not None
    }


def number(value: Any) -> float | None:
    """A number that can be reckoned with; None for what cannot."""
    usable = isinstance(value, int | float) and abs(value) < LARGEST  # nan is not
    return float(value) if usable else None
