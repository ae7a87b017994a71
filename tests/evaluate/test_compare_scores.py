"""The paired difference and Holm's adjustment: worked examples of published texts."""

import math

import numpy as np
import pytest

from rlexp.evaluate.statistics.compare import holm, paired
from rlexp.evaluate.statistics.estimate import estimate

# Student, Biometrika 6 (1908): hours of sleep gained by two drugs (Cushny and Peebles).
DRUGS = (
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)


def test_the_sleep_of_ten_patients_under_two_drugs():
    # R's t.test(..., paired = TRUE) of these: t = 4.0621, df = 9, p = 0.002833, 0.7001142 to 2.4598858.
    found = paired(*([[hours] for hours in side] for side in DRUGS))
    assert (found.mean, found.low, found.high) == pytest.approx((1.58, 0.7001142, 2.4598858))
    assert found.mean / found.error == pytest.approx(4.0621, abs=5e-5)
    assert (found.p, found.prompts) == (pytest.approx(0.002833, abs=5e-7), 10)
    assert found.correlation == pytest.approx(0.7951702)


def test_pairing_takes_off_what_both_share():
    # Miller, Adding Error Bars to Evals (2024), section 4.2: the root of SE² + SE² - 2 SE SE correlation.
    rng = np.random.default_rng(6)
    chance = rng.random((60, 1))
    one, other = (rng.binomial(1, chance, (60, 4)).tolist() for _ in range(2))
    found, alone = paired(one, other), [estimate(side).error for side in (one, other)]
    assert found.error == pytest.approx(
        math.sqrt(alone[0] ** 2 + alone[1] ** 2 - 2 * alone[0] * alone[1] * found.correlation)
    )
    assert found.error < math.hypot(*alone)


def test_the_noise_of_a_difference_is_told_apart():
    # Prompts of 0.2 and 0.8 either swap or stay: the true difference has a standard deviation of 0.6 / sqrt(2), one
    # sample of it 0.4 sqrt(2).
    rng = np.random.default_rng(7)
    one, other = np.array([0.2, 0.8, 0.2, 0.8]), np.array([0.2, 0.8, 0.8, 0.2])
    sides = [
        rng.binomial(1, np.tile(side, 2000)[:, None], (8000, samples)).tolist()
        for side, samples in ((one, 4), (other, 2))
    ]
    found = paired(*sides)
    assert (found.data_noise, found.prediction_noise) == pytest.approx((0.4243, 0.5657), abs=0.015)
    assert paired([[0]] * 3, [[1]] * 3).data_noise is None


def test_prompts_that_one_side_lacks_are_left_out():
    found = paired([[1, None], [None], [0], [0]], [[0], [1], [None], [1]])
    assert (found.prompts, found.mean) == (2, 0)


def test_no_difference_seen_is_no_certainty():
    # None of 32 differ: Tango's interval (Statistics in Medicine 17, 1998) is ± z² / (n + z²) = ± 0.107.
    found = paired([[0]] * 32, [[0]] * 32)
    assert (found.mean, found.p) == (0, 1) and 0.1 < found.high == -found.low < 0.14
    assert paired([[0]] * 5, [[1]] * 5).high == 1


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ([], [], "no prompt was scored on both sides"),
        ([[None]], [[1]], "no prompt was scored on both sides"),
        ([[0]], [[1]], "one prompt tells no spread"),
        ([[1.5]] * 3, [[2.5]] * 3, "all prompts differ by the same, and the score has no bounds"),
    ],
)
def test_without_an_interval_the_reason_is_said(one, other, reason):
    found = paired(one, other)
    assert (found.low, found.high, found.p, found.method) == (None, None, None, f"none: {reason}")


def test_the_interval_excludes_0_where_p_is_small():
    rng = np.random.default_rng(8)
    for gain in (0.0, 0.1, 0.2, 0.3, 0.4):
        chance = rng.random((64, 1)) * 0.6
        found = paired(rng.binomial(1, chance, (64, 2)).tolist(), rng.binomial(1, chance + gain, (64, 2)).tolist())
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_holm_adjusts_step_by_step():
    # The example of four hypotheses in Wikipedia's article on the Holm-Bonferroni method: at 5% the first and the
    # fourth are rejected, and the procedure stops at the third.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.2]) == [0.2]
