"""The difference of two scores on the same prompts: paired, with its interval and p-value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlexp.evaluate.statistics import intervals
from rlexp.evaluate.statistics.estimate import STUDENT, Scores, bounds, noises, scored


@dataclass(frozen=True)
class Difference:
    """The mean of ``other - one`` over the prompts that both have."""

    mean: float | None
    low: float | None
    high: float | None
    """The limits of the interval; None where none is honest: ``method`` says why."""
    error: float | None
    """The standard error of the mean difference, by prompts; None of fewer than two."""
    p: float | None
    """Two-sided, of no difference; the interval excludes 0 just where it is under 1 - level."""
    method: str
    """The interval that was used, or ``none: ...``."""
    prompts: int
    """Those with a scored sample on both sides."""
    data_noise: float | None
    """Standard deviation across prompts of the true difference; None where a side has no prompt with two samples."""
    prediction_noise: float | None
    """Standard deviation of the difference of one sample each around the prompt's true difference; None likewise."""
    correlation: float | None
    """Of the means of prompts on both sides (Pearson); None where a side does not vary."""


def paired(
    one: Scores, other: Scores, level: float = 0.95, low: float | None = None, high: float | None = None
) -> Difference:
    """Compares two sides, prompt by prompt.

    Student's t over the differences of the prompts' means. Where the score has bounds, unseen prompts count in the
    spread: ``intervals``.

    Args:
        one: [prompts][samples].
        other: the same prompts in the same order; the numbers of samples may differ.
        low: the lowest score that there can be, where that is known; scores that are all 0 or 1 have these bounds.
        high: the highest.
    """
    pairs = [(a, b) for a, b in zip(scored(one), scored(other), strict=True) if a and b]
    sides = [[a for a, _ in pairs], [b for _, b in pairs]]
    means = [np.array([math.fsum(group) / len(group) for group in side]) for side in sides]
    apart = means[1] - means[0]
    prompts = len(pairs)
    if prompts < 2:
        reason = "one prompt tells no spread" if pairs else "no prompt was scored on both sides"
        mean = float(apart[0]) if pairs else None
        return Difference(mean, None, None, None, None, f"none: {reason}", prompts, None, None, None)
    low, high = bounds([group for side in sides for group in side], low, high)
    reach = high - low if low is not None and high is not None else 0.0
    lower, upper, p = map(float, intervals.student(apart, level, reach))
    told = not math.isnan(lower)
    least = reach or math.inf
    data, prediction = _noises(sides, apart)
    varies = all(np.ptp(side) > 0 for side in means)
    return Difference(
        mean=float(apart.mean()),
        low=max(lower, -least) if told else None,
        high=min(upper, least) if told else None,
        error=float(apart.std(ddof=1) / math.sqrt(prompts)),
        p=p if told else None,
        method=f"{STUDENT}, paired" if told else "none: all prompts differ by the same, and the score has no bounds",
        prompts=prompts,
        data_noise=data,
        prediction_noise=prediction,
        correlation=float(np.corrcoef(means[0], means[1])[0, 1]) if varies else None,
    )


def _noises(sides: Sequence[Sequence[Sequence[float]]], apart: intervals.Array) -> tuple[float | None, float | None]:
    own = [noises(side)[1] for side in sides]
    if own[0] is None or own[1] is None:
        return None, None
    shares = [np.mean([1 / len(group) for group in side]) for side in sides]
    data = np.var(apart, ddof=1) - own[0] ** 2 * shares[0] - own[1] ** 2 * shares[1]
    return math.sqrt(max(0.0, float(data))), math.hypot(own[0], own[1])


def holm(p: Sequence[float]) -> list[float]:
    """The p-values of several claims at once, adjusted (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    from statsmodels.stats.multitest import multipletests

    return [float(value) for value in multipletests(p, method="holm")[1]] if p else []
