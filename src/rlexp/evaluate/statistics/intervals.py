"""Confidence intervals of means over prompts; on arrays, so that a simulation checks the very code that is used.

The sampling unit is the prompt: its samples are alike, so what counts is the spread of the means of prompts. A mean
near a bound is told by few prompts, and the next prompt may be unlike all that were seen. So the spread is given
``TAIL`` prompts at the bounds, weighted by how few prompts carry it (perf/results/*_interval_coverage.md has what that
is worth, and which other intervals fail where).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROUNDING = 1e-12
"""A limit so near to a bound is the bound."""
TAIL = 4.0
"""The weight of the prompts at the bounds, where one prompt carries all of the spread; it falls with the square of the
number that do. Chosen by simulation: with 16 samples of 32 to 64 prompts, a mean of 0.05 is held in 94.5-96.5%; with 1
in 93-95%, with 8 in 95.5-97%."""


def unseen(values: Array, tail: float = TAIL) -> Array:
    """The weight of the prompts that were not seen.

    Args:
        values: a value a prompt, [..., prompts].

    Returns:
        tail / n², where n is how many prompts carry the spread: (Σd²)² / Σd⁴ of the distances d from the mean; 1 where
        there is no spread.
    """
    squares = (values - values.mean(axis=-1, keepdims=True)) ** 2
    total, fourth = squares.sum(axis=-1), (squares**2).sum(axis=-1)
    carrying = np.divide(total**2, fourth, out=np.ones_like(total), where=fourth > 0)
    return tail / carrying**2


def wilson(values: Array, low: float, high: float, level: float, tail: float = TAIL) -> tuple[Array, Array]:
    """Wilson's score interval (1927) of a mean between bounds, with the effective sample size for the number of trials.

    That is mean(1 - mean) / (standard error)², of scores scaled to [0, 1] (Korn and Graubard, Survey Methodology 24,
    1998), at least the number of prompts. Of one 0/1 sample a prompt it is that number, and the interval is Wilson's
    own. The unseen prompts count in the limit that lies toward the middle, for there they would pull.

    Args:
        values: the mean of each prompt, [..., prompts], between ``low`` and ``high``.

    Returns:
        Both limits, [...].
    """
    from statsmodels.stats.proportion import proportion_confint

    scaled = (values - low) / (high - low)
    mean = scaled.mean(axis=-1)
    sizes = (effective(scaled, np.zeros_like(mean)), effective(scaled, unseen(scaled, tail)))
    seen, wide = (proportion_confint(mean * size, size, 1 - level, method="wilson") for size in sizes)
    lower = np.where(mean >= 0.5, wide[0], seen[0])
    upper = np.where(mean <= 0.5, wide[1], seen[1])
    lower, upper = (np.where(abs(one - one.round()) < ROUNDING, one.round(), one).clip(0, 1) for one in (lower, upper))
    return low + (high - low) * lower, low + (high - low) * upper


def effective(scaled: Array, weight: Array) -> Array:
    """The effective sample size, with prompts of a weight at the bounds 0 and 1, half at each."""
    prompts = scaled.shape[-1]
    total = prompts + weight
    mean = (scaled.sum(axis=-1) + weight / 2) / total
    variance = ((scaled**2).sum(axis=-1) + weight / 2) / total - mean**2
    spread = np.ptp(scaled, axis=-1) > 0
    size = np.divide(mean * (1 - mean) * (prompts - 1), variance, out=np.ones_like(mean), where=spread)
    return np.maximum(size, prompts)


def student(values: Array, level: float, reach: float = 0.0) -> tuple[Array, Array, Array]:
    """Student's t interval.

    Args:
        values: a value a prompt, [..., prompts]; two at least.
        reach: how far an unseen prompt may lie from the mean: of differences the range of the score. 0 counts none.

    Returns:
        Both limits and the two-sided p-value of a mean of 0, [...]; nan where there is no spread and no reach.
    """
    from scipy import stats

    prompts = values.shape[-1]
    mean = values.mean(axis=-1)
    variance = values.var(axis=-1, ddof=1) + unseen(values) * reach**2 / (prompts - 1)
    error = np.sqrt(variance / prompts)
    error = np.where(error > 0, error, np.nan)
    found: Any = stats.t(prompts - 1)
    half = found.ppf((1 + level) / 2) * error
    return mean - half, mean + half, 2 * found.sf(np.abs(mean) / error)
