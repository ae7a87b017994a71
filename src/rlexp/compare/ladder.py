"""The effect of each addition of a ladder: read from the rungs' run folders, compared, and put in one sentence."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp.console import show_table
from rlexp.record import metrics
from rlexp.record.run_folder import read_manifest

CLEARLY = 2.58
"""Standard errors of a difference from which it is no chance (99 of 100), as several terms are compared."""
GONE = 0.9
"""Share of groups with equal rewards from which a rung has nothing to learn from."""
REWARD, TOKENS, EQUAL = "reward", "tokens", "equal groups"
LOGGED = {REWARD: "reward", TOKENS: "completions/mean_length", EQUAL: "frac_reward_zero_std"}
"""Columns that every rung has, and what the trainer logs them as."""


@dataclass(frozen=True)
class TrainedChange:
    """A value at the start and at the end, with the standard errors of both (0 where they are not known)."""

    start: float
    end: float
    errors: tuple[float, float] = (0.0, 0.0)

    def __str__(self) -> str:
        return f"{self.start:.3g} -> {self.end:.3g}" + (f" ± {1.96 * self.errors[1]:.2g}" if any(self.errors) else "")


@dataclass(frozen=True)
class Rung:
    """One run of a ladder."""

    terms: list[str]
    """The reward's terms, in the order in which they were added."""
    reason: str = ""
    """Why it did not finish; empty where it did."""
    trained: dict[str, TrainedChange] = field(default_factory=dict)
    """Terms and the columns of LOGGED: means over the first and over the last fifth of the steps."""
    held: dict[str, TrainedChange] = field(default_factory=dict)
    """Terms and REWARD on the held-out rows, before and after."""

    @property
    def addition(self) -> str:
        """The term that it has and the rung before it has not."""
        return self.terms[-1]

    def value(self, term: str) -> TrainedChange | None:
        """A term on the held-out rows, or while training where there are none."""
        return self.held.get(term) or self.trained.get(term)


def read(run_dir: Path, terms: list[str]) -> Rung:
    """The rung whose run lies in ``run_dir``."""
    manifest = read_manifest(run_dir) or {"status": "failed", "reason": "it left no record"}
    if manifest["status"] != "finished":
        return Rung(terms, str(manifest.get("reason", manifest["status"])).splitlines()[0])
    lines = metrics.entries(run_dir)
    names = {term: f"rewards/{term}/mean" for term in terms} | LOGGED
    logged = {name: [line[key] for line in lines if key in line] for name, key in names.items()}
    held = {
        name: TrainedChange(row["before"], row["after"], tuple(row.get("standard_error", (0.0, 0.0))))
        for name, row in manifest.get("held_out", {}).items()
    }
    return Rung(terms, trained={name: fifths(values) for name, values in logged.items() if values}, held=held)


def fifths(values: list[float]) -> TrainedChange:
    """The means over the first and over the last fifth of some steps, with their standard errors."""
    count = max(1, len(values) // 5)
    parts = values[:count], values[-count:]
    one, two = (statistics.stdev(part) / math.sqrt(count) if count > 1 else 0.0 for part in parts)
    return TrainedChange(statistics.fmean(parts[0]), statistics.fmean(parts[1]), (one, two))


def verdict(rungs: list[Rung]) -> str:
    """The first addition that did harm, in one sentence: a run that failed, a signal that is gone, an earlier term
    that ends clearly lower than on the rung before."""
    for number, rung in enumerate(rungs):
        added = f"adding {rung.addition}" if number else f"{rung.addition} alone"
        if rung.reason:
            return f"{added}: the run did not finish: {rung.reason}"
        equal = rung.trained.get(EQUAL)
        if equal and equal.end >= GONE and not _rose(rung.value(REWARD)):
            return f"{added} leaves nothing to learn from: {equal.end:.0%} of the groups have equal rewards at the end"
        for term in rung.terms[:-1]:
            before, after = rungs[number - 1].value(term), rung.value(term)
            if before and after and _lower(after, before):
                return f"{added} lowered {term} from {before.end:.2f} to {after.end:.2f}"
    return "no addition did harm"


def _lower(after: TrainedChange, before: TrainedChange) -> bool:
    return before.end - after.end > CLEARLY * math.hypot(before.errors[1], after.errors[1])


def _rose(change: TrainedChange | None) -> bool:
    return change is not None and change.end - change.start > CLEARLY * math.hypot(*change.errors)


def show(rungs: list[Rung]) -> None:
    """Prints one row for each rung, on the held-out rows and while training, and the verdict."""
    terms = rungs[-1].terms
    for title, part, columns in (
        ("held-out rows, before -> after", "held", [*terms, REWARD]),
        ("while training, first -> last fifth of the steps", "trained", [*terms, *LOGGED]),
    ):
        if any(getattr(rung, part) for rung in rungs):
            print(f"\n{title}")
            show_table(("rung", *columns), [_row(number, rung, part, columns) for number, rung in enumerate(rungs)])
    print(f"\n{verdict(rungs)}")


def _row(number: int, rung: Rung, part: str, columns: list[str]) -> list[str]:
    values: dict[str, Any] = getattr(rung, part)
    name = f"+ {rung.addition}" if number else rung.addition
    return [name + (" (not finished)" if rung.reason else ""), *(str(values.get(column, "")) for column in columns)]
