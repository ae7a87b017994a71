"""A stand-in until the package of that name is merged."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Scores = Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class Difference:
    mean: float
    low: float
    high: float


def paired(one: Scores, other: Scores, level: float = 0.95) -> Difference:
    d = [b[0] - a[0] for a, b in zip(one, other, strict=True) if a[0] is not None and b[0] is not None]
    mean = statistics.fmean(d)
    error = statistics.stdev(d) / len(d) ** 0.5 if len(d) > 1 else 0.0
    return Difference(mean, mean - 1.96 * error, mean + 1.96 * error)
