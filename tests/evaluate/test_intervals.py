"""The intervals hold the truth as often as they say, on the hardest cells of perf/interval_coverage.py."""

import numpy as np
import pytest

from rlexp.evaluate.statistics import intervals

REPETITIONS = 8000


def drawn(prompts, samples, mean, concentration, seed=12):
    """Means of prompts whose probability is beta distributed, [REPETITIONS][prompts]."""
    rng, size = np.random.default_rng(seed), (REPETITIONS, prompts)
    difficulty = concentration and (mean * concentration, (1 - mean) * concentration)
    chance = rng.beta(*difficulty, size) if difficulty else np.full(size, mean)
    return rng.binomial(samples, chance) / samples


def coverage(limits, truth):
    return np.mean((limits[0] <= truth) & (truth <= limits[1]))


@pytest.mark.parametrize(
    ("prompts", "samples", "mean", "concentration", "least", "most"),
    [
        (32, 1, 0.05, None, 0.925, 0.99),
        (128, 1, 0.95, None, 0.93, 0.97),
        (32, 4, 0.05, 1, 0.93, 0.97),
        (32, 4, 0.95, None, 0.93, 0.97),
        (32, 16, 0.05, 0.2, 0.93, 0.97),
        (32, 16, 0.05, 1, 0.93, 0.97),
        (32, 16, 0.95, None, 0.93, 0.97),
        (128, 16, 0.05, 5, 0.93, 0.97),
    ],
)
def test_wilson_holds_the_mean(prompts, samples, mean, concentration, least, most):
    values = drawn(prompts, samples, mean, concentration)
    assert least <= coverage(intervals.wilson(values, 0, 1, 0.95), mean) <= most


def test_what_it_is_chosen_over_does_not():
    values = drawn(32, 16, 0.05, 1)
    assert coverage(intervals.student(values, 0.95), 0.05) < 0.85
    assert coverage(intervals.wilson(values, 0, 1, 0.95, tail=0), 0.05) < 0.91


@pytest.mark.parametrize(("prompts", "samples", "mean"), [(32, 1, 0.5), (32, 4, 0.05), (128, 1, 0.95)])
def test_a_difference_is_claimed_in_one_of_twenty_where_there_is_none(prompts, samples, mean):
    rng = np.random.default_rng(13)
    chance = rng.beta(mean * 2, (1 - mean) * 2, (REPETITIONS, prompts))
    apart = (rng.binomial(samples, chance) - rng.binomial(samples, chance)) / samples
    low, high, p = intervals.student(apart, 0.95, reach=1.0)
    assert np.mean(p < 0.05) <= 0.06 and np.array_equal(p < 0.05, (low > 0) | (high < 0))


def test_the_scale_of_the_score_plays_no_part():
    values = drawn(16, 4, 0.3, 1)[:20]
    plain, scaled = intervals.wilson(values, 0, 1, 0.9), intervals.wilson(3 * values - 1, -1, 2, 0.9)
    mirrored = intervals.wilson(1 - values, 0, 1, 0.9)
    assert np.allclose(scaled, 3 * np.array(plain) - 1) and np.allclose(mirrored[::-1], 1 - np.array(plain))
