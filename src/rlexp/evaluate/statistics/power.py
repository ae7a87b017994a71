"""The smallest difference that so many prompts and samples can see, and the prompts that a difference takes."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple


class Before(NamedTuple):
    """What can be said before anything is measured."""

    value: float
    """A difference, in units of the score; or a number of prompts."""
    assumption: str
    """In words: what was assumed of the scores."""


def detectable(
    prompts: int,
    samples: int,
    data_sd: float,
    prediction_sd: float,
    power: float = 0.8,
    level: float = 0.95,
    paired: bool = True,
) -> float:
    """The smallest difference that a two-sided test at 1 - ``level`` finds with probability ``power``.

    Miller, Adding Error Bars to Evals (2024), section 5: (z of the level + z of the power) standard errors.

    Args:
        samples: of each prompt, on each side.
        data_sd: paired, ``Difference.data_noise``; otherwise ``Estimate.data_noise`` of either side. Where one sample
            each was measured and is planned again: the standard error times the root of the prompts.
        prediction_sd: likewise ``prediction_noise``; 0 with such a total.
        paired: whether both sides answer the same prompts.

    Returns:
        In units of the score.
    """
    return _errors(power, level) * math.sqrt(_variance(samples, data_sd, prediction_sd, paired) / prompts)


def prompts_for(
    want: float,
    samples: int,
    data_sd: float,
    prediction_sd: float,
    power: float = 0.8,
    level: float = 0.95,
    paired: bool = True,
) -> int:
    """The prompts that it takes to see a difference of ``want``; the other arguments as ``detectable``'s."""
    variance = _variance(samples, data_sd, prediction_sd, paired)
    # What floating point adds to a whole number is no prompt more.
    return max(2, math.ceil(variance * (_errors(power, level) / want) ** 2 - 1e-9))


def detectable_before(
    prompts: int, samples: int, low: float = 0, high: float = 1, power: float = 0.8, level: float = 0.95
) -> Before:
    """``detectable`` of scores that nobody has measured, by their range: the widest that one sample can spread.

    Each score is at a bound, the mean in the middle: a variance of a quarter of the range squared. With the
    probabilities of prompts uniform, a third of it is the data's and two thirds the prediction's, which samples
    average out. Nothing is shared between the two sides, as if prompts were not paired.
    """
    data, prediction, assumption = _widest(low, high)
    return Before(detectable(prompts, samples, data, prediction, power, level), assumption)


def prompts_before(
    want: float, samples: int, low: float = 0, high: float = 1, power: float = 0.8, level: float = 0.95
) -> Before:
    """``prompts_for`` of scores that nobody has measured, assumed as ``detectable_before`` does."""
    data, prediction, assumption = _widest(low, high)
    return Before(prompts_for(want, samples, data, prediction, power, level), assumption)


def _widest(low: float, high: float) -> tuple[float, float, str]:
    reach = high - low
    assumption = (
        f"nothing measured yet, so the widest spread: scores of {low:g} or {high:g} only, prompts of every difficulty "
        "alike, nothing shared between the two sides"
    )
    return reach / math.sqrt(6), reach / math.sqrt(3), assumption


def _errors(power: float, level: float) -> float:
    """How many standard errors a difference must be."""
    normal = NormalDist()
    return normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)


def _variance(samples: int, data_sd: float, prediction_sd: float, paired: bool) -> float:
    """Of the difference on one prompt."""
    own = data_sd**2 + prediction_sd**2 / samples
    return own if paired else 2 * own
