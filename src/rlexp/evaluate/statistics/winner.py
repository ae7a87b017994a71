"""The best of several settings by a mean over seeds: what choosing it adds, and whether it is told from the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlexp.evaluate.statistics import intervals
from rlexp.evaluate.statistics.checkpoint import optimism
from rlexp.evaluate.statistics.effects import MOST_COLUMNS, SPREAD, TOLD
from rlexp.evaluate.statistics.estimate import STUDENT
from rlexp.evaluate.statistics.power import prompts_for

Runs = Mapping[Any, float]
"""Seed -> the metric of the run with that seed."""
HALVED = "the seeds are halved: one half chooses, the other says what the choice is worth"
UNADJUSTED = "two-sided t of the best against the others, pooled noise; choosing the best needs no more (Hung, Fithian)"


@dataclass(frozen=True)
class Folded:
    """A setting's mean over seeds."""

    mean: float
    low: float | None
    high: float | None
    """The limits of the 95% interval; None where none is honest: ``method`` says why."""
    seeds: int
    method: str


@dataclass(frozen=True)
class Winner:
    """The best of several settings."""

    best: int
    """The place of the setting with the best mean; of several the first."""
    second: int | None
    """The one that is told from it the least; None where there is one setting only."""
    optimism: float | None
    """How much the best mean is expected to flatter its setting for having been chosen, at least 0; None where too few
    seeds are common to all settings."""
    difference: float | None = None
    """The best less the second, in units of the metric: below 0 where lower is better."""
    low: float | None = None
    high: float | None = None
    """The limits of its 95% interval; None where nothing tells the noise."""
    p: float | None = None
    told: bool = False
    method: str = UNADJUSTED
    noise: float | None = None
    """Standard deviation of the difference of two settings on one seed."""
    seeds_needed: int | None = None
    """Of each setting, for this difference at 80% power."""


def fold(runs: Runs) -> Folded:
    """The mean over seeds with Student's t interval."""
    values = np.array(list(runs.values()), dtype=float)
    mean = float(values.mean())
    if len(values) < 2:
        return Folded(mean, None, None, 1, "none: one seed tells no spread")
    low, high, _ = map(float, intervals.student(values, 0.95))
    if math.isnan(low):
        return Folded(mean, None, None, len(values), "none: all seeds came to the same")
    return Folded(mean, low, high, len(values), STUDENT)


def winner(settings: Sequence[Runs], higher: bool = True) -> Winner:
    """The best setting, what having chosen it adds to its mean, and whether it is told from every other.

    The noise is pooled over the settings (least squares on setting and seed; without the seed where seeds and settings
    are not crossed). The best is tested against each other one with a plain two-sided t-test, and the largest p counts:
    that the best was chosen by the same numbers needs no correction where settings have as many seeds (Gutmann and
    Maymin, Annals of Statistics 15, 1987; Hung and Fithian, Annals of Statistics 47, 2019;
    perf/results/*_best_setting.md). How much its mean flatters it is said as for checkpoints (``checkpoint.optimism``),
    with seeds for prompts.

    Args:
        settings: the runs of each; one at least.
        higher: whether higher is better.
    """
    sign = 1.0 if higher else -1.0
    if len(settings) < 2:
        return Winner(0, None, 0.0, method="none: there is one setting")
    fit, means = _fit(settings)
    best = int((sign * means).argmax())
    flattered = _optimism(settings, sign)
    behind = [place for place in np.argsort(-sign * means, kind="stable").tolist() if place != best]
    if fit is None or fit.df_resid < 1 or fit.ssr <= SPREAD * float((fit.model.endog**2).sum()):
        why = "the settings are too many" if fit is None else "no second seed of a setting tells the noise"
        why = "nothing but the setting and the seed moves the metric" if fit is not None and fit.df_resid > 0 else why
        return Winner(best, behind[0], flattered, float(means[best] - means[behind[0]]), method=f"none: {why}")
    contrasts = np.zeros((len(behind), len(fit.params)))
    contrasts[:, best], contrasts[range(len(behind)), behind] = 1, -1
    tested = fit.t_test(contrasts)
    place = int(np.argmax(np.atleast_1d(tested.pvalue)))
    p, difference = float(np.atleast_1d(tested.pvalue)[place]), float(means[best] - means[behind[place]])
    low, high = map(float, np.atleast_2d(tested.conf_int(0.05))[place])
    noise = math.sqrt(2 * fit.mse_resid)
    return Winner(
        *(best, behind[place], flattered, difference, low, high, p, p < TOLD),
        noise=noise,
        seeds_needed=seeds_for(abs(difference), noise),
    )


def seeds_for(want: float, noise: float, power: float = 0.8) -> int | None:
    """The seeds of each of two settings that it takes to see a difference of ``want`` by a paired t-test.

    ``power.prompts_for`` is right for many; so few seeds are told by Student's t, so that more are taken until it is.

    Args:
        noise: standard deviation of the difference on one seed.

    Returns:
        None where there is no difference.
    """
    from statsmodels.stats.power import TTestPower

    if not want / noise > 1e-6:
        return None
    seeds = prompts_for(want, 1, noise, 0.0, power)
    while seeds < 1000 and TTestPower().power(want / noise, seeds, TOLD) < power:
        seeds += 1
    return seeds


def _optimism(settings: Sequence[Runs], sign: float) -> float | None:
    """Over the seeds that all settings have, less what a seed does to all of them, which chooses nothing and would be
    noise; of settings without common seeds over as many of each."""
    common = [seed for seed in settings[0] if all(seed in runs for runs in settings)]
    table = np.array([[runs[seed] for seed in common] for runs in settings])
    if not common and (fewest := min(map(len, settings))) > 1:
        table = np.array([list(runs.values())[:fewest] for runs in settings])
    return optimism(sign * (table - table.mean(axis=0))) if table.shape[1] > 1 else None


def _fit(settings: Sequence[Runs]) -> tuple[Any, intervals.Array]:
    """Least squares on setting and seed, and the mean of each setting as if it had every seed.

    The fit's first parameters are those of the settings. None where they are too many; their own means then.
    """
    from statsmodels.api import OLS

    plain = np.array([np.mean(list(runs.values())) for runs in settings])
    seeds = sorted({seed for runs in settings for seed in runs}, key=str)
    if len(settings) + len(seeds) > MOST_COLUMNS:
        return None, plain
    flat = [(place, seeds.index(seed), value) for place, runs in enumerate(settings) for seed, value in runs.items()]
    of_setting = np.eye(len(settings))[[place for place, _, _ in flat]]
    of_seed = np.eye(len(seeds))[[seed for _, seed, _ in flat]][:, 1:]
    both = np.hstack([of_setting, of_seed])
    crossed = np.linalg.matrix_rank(both) == both.shape[1]
    fit = OLS(np.array([value for _, _, value in flat]), both if crossed else of_setting).fit()
    if not crossed or all(runs.keys() == settings[0].keys() for runs in settings):
        return fit, plain
    return fit, fit.params[: len(settings)] + fit.params[len(settings) :].sum() / len(seeds)
