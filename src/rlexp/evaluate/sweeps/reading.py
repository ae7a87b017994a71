"""A sweep, read: its points, the settings with their seeds folded, the effect of each key, and the best setting."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlexp.compare import sweep
from rlexp.errors import RunError
from rlexp.evaluate.statistics.effects import Effect, effects
from rlexp.evaluate.statistics.winner import Folded, Winner, fold, winner
from rlexp.evaluate.sweeps import metric as metrics
from rlexp.evaluate.sweeps import points
from rlexp.evaluate.sweeps.metric import Metric
from rlexp.evaluate.sweeps.points import SEED, Row
from rlexp.record import sweeps
from rlexp.record.sweeps import Impossible


@dataclass(frozen=True)
class Setting:
    """What was varied besides the seed, and the runs that had it."""

    values: dict[str, Any]
    rows: list[Row]
    folded: Folded


@dataclass(frozen=True)
class Best:
    """The best setting, and what is to be believed of it."""

    setting: Setting
    row: Row
    """Of its runs the one with the best metric."""
    found: Winner
    second: Setting | None
    higher: bool
    unfinished: int = 0
    """Other settings, of which no run finished and was measured."""

    @property
    def corrected(self) -> tuple[float | None, float | None, float | None]:
        """(mean, low, high) of the setting, less what its having been chosen adds; None where that is not known."""
        if self.found.optimism is None:
            return None, None, None
        folded, shift = self.setting.folded, self.shift
        low, high = (None if limit is None else limit - shift for limit in (folded.low, folded.high))
        return folded.mean - shift, low, high

    @property
    def shift(self) -> float:
        """How much the mean flatters the setting, upwards where higher is better."""
        flattered = self.found.optimism or 0.0
        return flattered if self.higher else -flattered

    @property
    def more_seeds(self) -> int | None:
        """The seeds that each of the two best needs besides those it has; 0 where they are told apart."""
        if self.found.seeds_needed is None or self.second is None:
            return None
        has = min(len({row.seed for row in one.rows}) for one in (self.setting, self.second))
        return 0 if self.found.told else max(1, self.found.seeds_needed - has)


@dataclass(frozen=True)
class Reading:
    """A sweep that was read."""

    folder: Path
    shown: str
    """The folder, from the project."""
    rows: list[Row]
    impossible: list[Impossible]
    keys: list[str]
    """What was varied, the seed not among them."""
    metric: Metric | None
    settings: list[Setting] = field(default_factory=list)
    """The best first."""
    effects: list[Effect] = field(default_factory=list)
    best: Best | None = None
    notes: list[str] = field(default_factory=list)
    """What a person should know of the statistics."""


def find(typed: str, here: Path, root: Path) -> Path:
    """The folder of a sweep, from the folder it was typed in or from the project.

    Raises:
        RunError: there is none.
    """
    folder = next((path for path in (here / typed, root / typed) if sweeps.holds(path)), None)
    if folder is None:
        known = sorted(os.path.relpath(path.parent, root) for path in (root / "multirun").rglob(sweeps.FILE))
        hint = f"the latest is {known[-1]}" if known else "make one first: python -m rlexp -m KEY=A,B seed=0,1"
        raise RunError(f"{typed} holds no sweep", where=typed, hint=hint)
    return folder


def read(folder: Path, root: Path, metric: str | None = None) -> Reading:
    """Reads a sweep.

    Args:
        metric: a held-out metric, or TASK.METRIC of an evaluation; by default the main held-out one.

    Raises:
        RunError: a record has another shape, or no point has that metric.
    """
    plan, found = sweeps.read(folder), metrics.choose(sweep.read(folder), metric)
    rows = points.read(folder, root)
    rows = points.measured(rows, found) if found else rows
    keys = list(dict.fromkeys(key for row in rows for key in row.values))
    impossible = plan.impossible if plan else []
    reading = Reading(folder, os.path.relpath(folder, root), rows, impossible, keys, found)
    counted = [row for row in rows if row.counts]
    if not counted or found is None:
        return reading
    settings = _settings(counted, found.higher)
    unfinished = len({row.setting for row in rows} - {row.setting for row in counted})
    best = replace(_best(settings, found.higher), unfinished=unfinished)
    block = _block(counted)
    own = effects(_values(counted), {key: [row.values[key] for row in counted] for key in keys}, block)
    return Reading(
        *(folder, reading.shown, rows, impossible, keys, found, settings, own, best),
        notes=_notes(rows, counted, settings, block is not None),
    )


def _values(rows: Sequence[Row]) -> list[float]:
    return [row.metric.after for row in rows if row.metric]


def _runs(rows: Sequence[Row]) -> dict[Any, float]:
    """Seed -> the metric; of runs with one seed the mean, which differ in nothing that was varied."""
    own: dict[Any, list[float]] = {}
    for row in rows:
        if row.metric:
            own.setdefault(row.seed, []).append(row.metric.after)
    return {seed: sum(values) / len(values) for seed, values in own.items()}


def _settings(rows: Sequence[Row], higher: bool) -> list[Setting]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(row)
    made = [Setting(dict(setting), own, fold(_runs(own))) for setting, own in groups.items()]
    return sorted(made, key=lambda one: one.folded.mean, reverse=higher)


def _best(settings: Sequence[Setting], higher: bool) -> Best:
    found = winner([_runs(one.rows) for one in settings], higher)
    chosen = settings[found.best]
    row = (max if higher else min)(chosen.rows, key=lambda row: row.metric.after if row.metric else 0.0)
    return Best(chosen, row, found, None if found.second is None else settings[found.second], higher)


def _block(rows: Sequence[Row]) -> tuple[str, list[Any]] | None:
    """The seed, where two settings or more have it and there are several."""
    seeds = [row.seed for row in rows]
    shared = {seed for seed in seeds if len({row.setting for row in rows if row.seed == seed}) > 1}
    return (SEED, seeds) if shared and len(set(seeds)) > 1 else None


def _notes(rows: Sequence[Row], counted: Sequence[Row], settings: Sequence[Setting], blocked: bool) -> list[str]:
    notes = []
    if left := [row for row in rows if not row.counts]:
        notes.append(f"{len(left)} of {len(rows)} points did not finish or were not measured, and do not count")
    if all(one.folded.seeds == 1 for one in settings):
        notes.append("one seed of each setting: nothing tells how much of a difference is the seed's; sweep seed=0,1,2")
    elif len({tuple(sorted(map(str, _runs(one.rows)))) for one in settings}) > 1:
        notes.append("the settings do not have the same seeds: what is compared is what least squares makes of them")
    if not blocked and len(settings) > 1 and len({row.seed for row in counted}) > 1:
        notes.append("no seed is shared by two settings, so that the seeds' share is not taken out")
    return notes


def best_run(typed: str, here: Path, root: Path, metric: str | None = None) -> tuple[Reading, Best]:
    """The best point of the sweep that ``FOLDER@best`` names.

    Raises:
        RunError: there is no such sweep, or none of its points finished and was measured.
    """
    reading = read(find(typed.removesuffix(sweeps.BEST), here, root), root, metric)
    if reading.best is None:
        hint = f"python -m rlexp sweep {reading.shown} says how each ended; type the folder of one point"
        raise RunError("no point of the sweep finished and was measured: none is the best", where=typed, hint=hint)
    return reading, reading.best
