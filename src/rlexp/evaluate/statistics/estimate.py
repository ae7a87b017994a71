"""The mean of a score over prompts, with its interval and where its noise comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlexp.evaluate.statistics import intervals

Scores = Sequence[Sequence[float | None]]
"""[prompts][samples]; None where a sample was not scored."""

WILSON = "Wilson"
EFFECTIVE = "Wilson, effective sample size"
STUDENT = "Student's t"


@dataclass(frozen=True)
class Estimate:
    """A mean over prompts."""

    mean: float | None
    """The mean of the prompts' means: a prompt counts once, however many of its samples were scored."""
    low: float | None
    high: float | None
    """The limits of the interval; None where none is honest: ``method`` says why."""
    error: float | None
    """The standard error, by prompts; None of fewer than two."""
    method: str
    """The interval that was used, or ``none: ...``."""
    prompts: int
    """Those with a scored sample."""
    samples: int
    """Those that were scored."""
    unscored: int
    """Samples that were not; they are left out, not counted as 0."""
    data_noise: float | None
    """Standard deviation across prompts of their true means; None where no prompt has two samples."""
    prediction_noise: float | None
    """Standard deviation of one sample around the true mean of its prompt; None where no prompt has two samples."""


def estimate(scores: Scores, low: float | None = None, high: float | None = None, level: float = 0.95) -> Estimate:
    """Estimates the mean of a score.

    Between two bounds the interval is Wilson's, else Student's t over the means of prompts, cut at a bound that there
    is. Scores that are all 0 or 1 have these bounds undeclared; bounds that a score breaks are not believed.

    Args:
        scores: of the same prompt the samples are together.
        low: the lowest score that there can be, where that is known.
        high: the highest.
    """
    kept = scored(scores)
    groups = [group for group in kept if group]
    count = sum(map(len, groups))
    unscored = sum(map(len, scores)) - count
    data, prediction = noises(groups)
    if not groups:
        return Estimate(None, None, None, None, "none: nothing was scored", 0, 0, unscored, None, None)
    means = np.array([math.fsum(group) / len(group) for group in groups])
    low, high = bounds(groups, low, high)
    lower, upper, method = _interval(means, low, high, level, count == len(groups))
    return Estimate(
        mean=float(means.mean()),
        low=lower,
        high=upper,
        error=float(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else None,
        method=method,
        prompts=len(groups),
        samples=count,
        unscored=unscored,
        data_noise=data,
        prediction_noise=prediction,
    )


def _interval(
    means: intervals.Array, low: float | None, high: float | None, level: float, one_each: bool
) -> tuple[float | None, float | None, str]:
    if low is not None and high is not None and high > low:
        lower, upper = intervals.wilson(means, low, high, level)
        plain = one_each and bool(np.isin(means, (low, high)).all())
        return float(lower), float(upper), WILSON if plain else EFFECTIVE
    if len(means) < 2:
        return None, None, "none: one prompt tells no spread"
    lower, upper, _ = intervals.student(means, level)
    if math.isnan(lower):
        return None, None, "none: all prompts have the same mean, and the score has no bounds"
    least, most = -math.inf if low is None else low, math.inf if high is None else high
    return max(float(lower), least), min(float(upper), most), STUDENT


def scored(scores: Scores) -> list[list[float]]:
    """The samples of every prompt that were scored."""
    return [[value for value in group if value is not None and math.isfinite(value)] for group in scores]


def bounds(
    groups: Sequence[Sequence[float]], low: float | None, high: float | None
) -> tuple[float | None, float | None]:
    """The bounds that the scores keep: the declared ones, or 0 and 1 where there are no other scores."""
    values = [value for group in groups for value in group]
    if low is None and high is None and values and set(values) <= {0, 1}:
        return 0.0, 1.0
    broken = any((low is not None and value < low) or (high is not None and value > high) for value in values)
    return (None, None) if broken else (low, high)


def noises(groups: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """Data noise and prediction noise of the prompts that have samples: ``Estimate`` has what they are.

    The variance of a prompt's mean is the data's plus the prediction's over the number of its samples (Miller, Adding
    Error Bars to Evals, 2024, arXiv 2411.00640, section 3.2); so the data's is what that leaves, at least 0.
    """
    means = [math.fsum(group) / len(group) for group in groups]
    several = [
        math.fsum((value - mean) ** 2 for value in group) / (len(group) - 1)
        for group, mean in zip(groups, means, strict=True)
        if len(group) > 1
    ]
    if not several or len(groups) < 2:
        return None, None
    prediction = math.fsum(several) / len(several)
    data = float(np.var(means, ddof=1)) - prediction * math.fsum(1 / len(group) for group in groups) / len(groups)
    return math.sqrt(max(0.0, data)), math.sqrt(prediction)
