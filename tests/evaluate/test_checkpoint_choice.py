"""The earliest checkpoint within one standard error of the best."""

import numpy as np
import pytest

from rlexp.errors import RunError
from rlexp.evaluate.statistics.checkpoint import choose, optimism


def test_the_earliest_within_one_paired_standard_error_is_chosen():
    # Step 20 is behind by 1/8 with a standard error of 1/8: within. Step 10 by 4/8: not.
    best = [1, 1, 1, 1, 1, 1, 0, 0]
    measured = {30: best, 10: [0, 0, 0, 0, 1, 1, 0, 0], 20: [1, 1, 1, 1, 1, 0, 0, 0], 40: best}
    found = choose(measured)
    assert (found.step, found.best, found.candidates) == (20, 30, (20, 30, 40))
    assert (found.mean, found.best_mean, found.prompts) == (0.625, 0.75, 8)
    assert found.why == (
        "step 20 (0.625) is the earliest within one paired standard error (0.125) of the highest mean, 0.750 at step 30"
    )


def test_what_moves_all_prompts_alike_is_a_difference_however_unlike_the_prompts_are():
    # The unpaired standard error is 0.16 here: the plain rule would take step 1.
    one = np.linspace(0, 1, 5)
    found = choose({1: one.tolist(), 2: (one + 0.01).tolist()})
    assert (found.step, found.candidates) == (2, (2,))
    assert (
        found.why == "step 2 has the highest mean, 0.510, and no earlier step is within one paired standard error of it"
    )


def test_steps_are_compared_on_the_prompts_that_all_of_them_scored():
    # Step 1's mean over what it scored itself is higher.
    found = choose({1: [None, 1.0, 0.0, 0.0], 2: [0.0, 1.0, 1.0, 0.9], 3: [None] * 4})
    assert (found.step, found.prompts, found.best_mean) == (2, 3, pytest.approx(2.9 / 3))


def test_the_first_step_may_be_the_best():
    found = choose({0: [1.0, 0.0], 5: [0.0, 0.0]})
    assert (found.step, found.why) == (0, "step 0 has the highest mean, 0.500")
    assert choose({7: [0.5, 0.5]}).optimism == 0


def test_one_prompt_tells_no_noise():
    found = choose({1: [0.4], 2: [0.5]})
    assert (found.step, found.candidates, found.optimism) == (2, (2,), None)


@pytest.mark.parametrize("measured", [{}, {1: []}, {1: [None]}, {1: [None, 1.0], 2: [1.0, None]}])
def test_nothing_in_common_is_one_message(measured):
    with pytest.raises(RunError, match="no prompt was scored at every measured step"):
        choose(measured)


def test_the_optimism_is_what_equal_checkpoints_gain_and_nothing_where_one_stands_out():
    # Ten independent means of 128 coins: the highest lies 1.54 standard errors of 0.0442 above the truth.
    coins = np.random.default_rng(1).random((100, 10, 128)) < 0.5
    said = [optimism(table.astype(float), splits=200) for table in coins]
    assert np.mean(said) == pytest.approx(1.54 * 0.0442, abs=0.004)
    apart = {0: [0.0, 0.1] * 50, 1: [1.0, 1.1] * 50}
    assert choose(apart).optimism == pytest.approx(0, abs=0.001)
    assert choose(apart) == choose(apart)
