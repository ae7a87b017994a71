"""The mean of a score: worked examples of published texts, and what is honest where there is little."""

import math

import numpy as np
import pytest

from rlexp.evaluate.statistics.estimate import EFFECTIVE, STUDENT, WILSON, estimate


def coins(right, of):
    return [[1]] * right + [[0]] * (of - right)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_one_0_1_sample_a_prompt_has_wilsons_interval(right, of, low, high):
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3 (score, no continuity correction).
    found = estimate(coins(right, of))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert (found.mean, found.method, found.prompts, found.unscored) == (right / of, WILSON, of, 0)
    mirrored = estimate(coins(of - right, of))
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((low, high), abs=5e-5)


def test_without_bounds_it_is_students_t():
    # Student, Biometrika 6 (1908): hours of sleep gained (Cushny and Peebles); R's t.test(extra, data = sleep) of them.
    gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = estimate([[hours] for hours in gained])
    assert (found.mean, found.low, found.high) == pytest.approx((1.58, 0.7001142, 2.4598858))
    assert (found.method, found.data_noise, found.prediction_noise) == (STUDENT, None, None)
    one_bound = estimate([[0.0], [5.0]], low=0)
    assert (one_bound.method, one_bound.low, one_bound.high > 5) == (STUDENT, 0, True)
    assert estimate([[0.0], [5.0]], low=1).low < 0  # a bound that a score breaks is not believed


def test_the_standard_error_is_that_of_clusters():
    # Miller, Adding Error Bars to Evals (2024), section 2.2: the clustered error is that of OLS on a constant with the
    # prompt as cluster; statsmodels has it, with the correction for few clusters.
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(3)
    scores = rng.binomial(1, rng.random((40, 1)), (40, 5))
    fit = OLS(scores.ravel(), np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": np.repeat(np.arange(40), 5)})
    found = estimate(scores.tolist())
    assert (found.mean, found.error) == pytest.approx((fit.params[0], fit.bse[0]))
    assert (found.samples, found.method) == (200, EFFECTIVE)
    plain = estimate([[value] for value in scores.ravel().tolist()])
    assert found.high - found.low > 1.4 * (plain.high - plain.low)


def test_data_noise_and_prediction_noise_are_told_apart():
    # Prompts right with probability 0.2 or 0.8: a standard deviation of 0.3 across them, of 0.4 within one.
    rng = np.random.default_rng(4)
    found = estimate(rng.binomial(1, np.repeat([[0.2], [0.8]], 4000, axis=0), (8000, 4)).tolist())
    assert (found.data_noise, found.prediction_noise) == pytest.approx((0.3, 0.4), abs=0.01)
    # Of prompts that are all alike the data's is 0, not a root of something negative.
    assert estimate([[0, 1], [1, 0], [0, 1]]).data_noise == 0


def test_more_samples_narrow_what_noise_makes_and_not_what_difficulty_makes():
    def width(scores):
        found = estimate(scores)
        return found.high - found.low

    hard = [[n % 2] for n in range(64)]
    assert width([group * 16 for group in hard]) == pytest.approx(width(hard))
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 2, (64, 16)).tolist()
    assert width(noise) < 0.4 * width([group[:1] for group in noise])


def test_rewards_between_declared_bounds_stay_there():
    found = estimate([[2.0]] * 30 + [[-1.0]], -1, 2)
    assert (found.method, found.low < found.mean < found.high <= 2) == (WILSON, True)
    found = estimate([[2.0]] * 30 + [[0.5]], -1, 2)
    assert (found.method, found.high) == (EFFECTIVE, pytest.approx(2, abs=0.01)) and found.high <= 2
    assert estimate([[2.0]] * 30 + [[3.0]], -1, 2).method == STUDENT


def test_unscored_samples_are_counted_and_are_not_0():
    found = estimate([[1, None], [None], [0], [None, float("nan"), 1]])
    assert (found.mean, found.prompts, found.samples, found.unscored) == (pytest.approx(2 / 3), 3, 3, 4)


@pytest.mark.parametrize(
    ("scores", "low", "high", "method"),
    [
        ([], None, None, "none: nothing was scored"),
        ([[], [None]], None, None, "none: nothing was scored"),
        ([[3.0]], None, None, "none: one prompt tells no spread"),
        ([[3.0], [3.0]], None, None, "none: all prompts have the same mean, and the score has no bounds"),
        ([[1]], 0.2065, 1, WILSON),
        ([[0]] * 32, 0, 0.1072, WILSON),
        ([[0] * 16] * 32, 0, 0.1072, EFFECTIVE),  # all prompts alike may be all prompts hard
    ],
)
def test_little_is_told_as_little(scores, low, high, method):
    found = estimate(scores)
    assert found.method == method
    assert [found.low, found.high] == ([low, high] if low is None else pytest.approx([low, high], abs=1e-4))
    assert not any(isinstance(value, float) and math.isnan(value) for value in vars(found).values())


def test_the_level_is_the_intervals():
    wide, narrow = (estimate(coins(10, 40), level=level) for level in (0.99, 0.5))
    assert wide.low < narrow.low < 0.25 < narrow.high < wide.high
