"""Pass rates of prompts: how they are counted, gathered in a histogram and filtered by. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Rates = Sequence[float | None]
"""The pass rate of each training row, from 0 to 1; None where it is not known."""
BINS = 10
"""Parts of a histogram between no completion right and every one; these two are parts of their own."""


@dataclass(frozen=True)
class Rate:
    """The pass rate of one training row."""

    known: int
    """Completions of it that have a score."""
    passed: int
    """Of these, those whose score is high enough."""

    @property
    def share(self) -> float | None:
        """``passed`` of ``known``; None where no completion has a score."""
        return self.passed / self.known if self.known else None


UNKNOWN = Rate(0, 0)


def rate_of(scores: Sequence[float | None], at: float) -> Rate:
    """The rate of one row from the scores of its completions.

    Args:
        at: the score from which a completion passes.
    """
    known = [score for score in scores if score is not None]
    return Rate(len(known), sum(score >= at for score in known))


@dataclass(frozen=True)
class Bin:
    """One part of a histogram."""

    name: str
    """``0``, ``(0, 0.1]``, ..., ``1``."""
    low: float
    high: float
    """The rates of it: above ``low`` up to ``high``, or equal to both."""
    rows: int


def histogram(rates: Rates) -> list[Bin]:
    """The rows whose rate is known, by their rates: none right, ten equal parts, every one right."""
    counts = [0] * (BINS + 2)
    for rate in rates:
        if rate is not None:  # 7 of 10 lie at the end of their part, whatever 0.7 * 10 is
            counts[BINS + 1 if rate == 1 else math.ceil(round(rate * BINS, 9))] += 1
    middle = [
        Bin(
            f"({low / BINS:g}, {(low + 1) / BINS:g}{']' if low + 1 < BINS else ')'}", low / BINS, (low + 1) / BINS, rows
        )
        for low, rows in enumerate(counts[1:-1])
    ]
    return [Bin("0", 0.0, 0.0, counts[0]), *middle, Bin("1", 1.0, 1.0, counts[-1])]


def in_words(rates: Rates) -> str:
    """The parts of the histogram that hold rows: ``0: 12, (0.1, 0.2]: 4, 1: 3``."""
    return ", ".join(f"{part.name}: {part.rows}" for part in histogram(rates) if part.rows) or "no row has a rate"


def all_equal(rates: Rates) -> int:
    """Rows whose completions were all right, or all wrong: compared with each other they teach nothing."""
    return sum(rate in (0.0, 1.0) for rate in rates)


def between(rates: Rates, low: float, high: float) -> tuple[int, ...]:
    """The numbers of the rows whose rate lies in [low, high]; those without a rate are left out."""
    return tuple(row for row, rate in enumerate(rates) if rate is not None and low <= rate <= high)
