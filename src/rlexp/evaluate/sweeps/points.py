"""The points of a sweep as rows: what each varied, how it ended, and its metric before and after."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.compare import sweep
from rlexp.compare.sweep import SweepPoint
from rlexp.evaluate.sweeps.metric import Measured, Metric
from rlexp.evaluate.sweeps.metric import number as usable
from rlexp.record import go_on, listed, status, sweeps
from rlexp.record.listed import MISSING

SEED = "seed"
LARGEST_INT = 2**53
"""Whole numbers from which on are kept as others are."""


@dataclass(frozen=True)
class Row:
    """One point."""

    run_dir: Path
    shown: str
    """The folder, from the project."""
    values: dict[str, Any]
    """Varied key -> its value, a number where it is one; the seed is not among them. None where nothing says it."""
    seed: int | None
    status: str
    reason: str
    steps: int | None
    """Optimizer steps that were done."""
    seconds: float | None
    warm: bool | None
    """Whether it found its model loaded; None where nothing says it."""
    metric: Measured | None = None

    @property
    def setting(self) -> tuple[tuple[str, Any], ...]:
        """What it varied besides the seed."""
        return tuple(self.values.items())

    @property
    def counts(self) -> bool:
        """Whether it has its say in the statistics: it finished, and was measured."""
        return self.status == "finished" and self.metric is not None


def read(folder: Path, root: Path) -> list[Row]:
    """The points of a sweep in the order of its plan, their metrics left out.

    Raises:
        RunError: a record has another shape.
    """
    found, plan = sweep.read(folder), sweeps.read(folder)
    seeds = [one.seed for one in plan.points] if plan and plan.points else [None] * len(found)
    typed = [{go_on.key_of(text): value(text.partition("=")[2]) for text in one.varied} for one in found]
    keys = dict.fromkeys(key for own in typed for key in own if not key.startswith("hydra."))
    return [
        _row(one, {key: own.get(key, MISSING) for key in keys}, seed, root)
        for one, own, seed in zip(found, typed, seeds, strict=True)
    ]


def measured(rows: Sequence[Row], metric: Metric) -> list[Row]:
    """The rows with their metric, where they have it."""
    return [dataclasses.replace(row, metric=metric.of.get(str(row.run_dir))) for row in rows]


def _row(point: SweepPoint, values: dict[str, Any], seed: int | None, root: Path) -> Row:
    manifest = point.manifest or {}
    stands, reason = status.of(manifest) if manifest else (sweep.NOT_BEGUN, "")
    locked = listed.RunRow(point.run_dir, str(point.run_dir), manifest, stands)
    filled = {key: _locked(locked, key) if own is MISSING else own for key, own in values.items()}
    own_seed = filled.pop(SEED, None)
    seed = next((one for one in (seed, own_seed, _locked(locked, SEED)) if type(one) is int), None)
    shown = os.path.relpath(point.run_dir, root)
    steps = locked.steps[0] if locked.steps else manifest.get("steps", {}).get("done")
    seconds = usable(manifest.get("timings_s", {}).get("total"))
    return Row(point.run_dir, shown, filled, seed, stands, reason, steps, seconds, manifest.get("warm"))


def _locked(run: listed.RunRow, key: str) -> Any:
    """What a run was locked with, where its command line does not say it; None where its lock does not either."""
    found = run.value(key)
    if isinstance(found, bool):
        return str(found).lower()
    return value(found) if isinstance(found, str) else plain(found)


def value(text: str) -> Any:
    """A value as it was typed: a whole number, a number, or the text without its quotes."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            if (number := plain(kind(text))) is not None:
                return number
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def plain(number: Any) -> Any:
    """The number, where it is one that can be reckoned with and kept in a table; else None."""
    fits = isinstance(number, float) or (isinstance(number, int) and abs(number) < LARGEST_INT)
    return number if fits and usable(number) is not None else None
