"""Advantages as TRL computes them."""

import pytest

from rlexp.reward.advantage import advantages, no_signal, spread

A = [0.0, 1.0, 1.0, 2.0]  # mean 1, std 0.8165
B = [3.0, 3.0, 3.0, 3.0]
SCORES = {"correct": [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "format": [0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 2.0, 2.0]}
STD = 0.816496580927726 + 1e-4
BATCH = 1.1952286093343936 + 1e-4


@pytest.mark.parametrize(
    ("overrides", "rewards", "expected"),
    [
        ((), A + B, [-1 / STD, 0, 0, 1 / STD, 0, 0, 0, 0]),
        (("method.scale_rewards=none",), A + B, [-1, 0, 0, 1, 0, 0, 0, 0]),
        (("method.scale_rewards=batch",), A + B, [-1 / BATCH, 0, 0, 1 / BATCH, 0, 0, 0, 0]),
        # what no term applies to is no part of its group, and worth nothing; nor is one that is alone
        (("method.scale_rewards=none",), [0.0, None, 1.0, None], [-0.5, 0, 0.5, 0]),
        ((), [1.0, None, None, None], [0, 0, 0, 0]),
        (("method=rloo",), A + B, [-4 / 3, 0, 0, 4 / 3, 0, 0, 0, 0]),
        (("method=rloo",), [0.0, None, 1.0, None], [-1, 0, 1, 0]),
    ],
)
def test_an_advantage_is_what_the_trainer_makes_of_a_reward(composed, overrides, rewards, expected):
    run = composed("method.num_generations=4", *overrides)
    assert advantages(run, SCORES, rewards) == pytest.approx(expected)


def test_normalized_terms_are_standardised_in_the_group_and_their_sum_over_the_step(composed):
    run = composed("method.num_generations=4", "reward.combine=normalize")
    rewards = [sum(pair) for pair in zip(*SCORES.values(), strict=True)]
    found = advantages(run, SCORES, rewards)
    first = [-1.5 - 0.5, 0.5 - 0.5, 0.5 - 0.5, 0.5 + 1.5]  # both terms have the std 0.5
    summed = [value / (0.5 + 1e-4) * 0.5 for value in first] + [0.0] * 4
    mean = sum(summed) / 8
    assert found == pytest.approx([(value - mean) / (spread(summed) + 1e-4) for value in summed])


def test_a_group_without_variance_teaches_nothing(composed):
    run, normalized = composed(), composed("reward.combine=normalize")
    opposed = {"correct": [0.0, 1.0], "format": [1.0, 0.0]}
    assert no_signal(run, opposed, [1.0, 1.0]) and not no_signal(normalized, opposed, [1.0, 1.0])
    same = {"correct": [1.0, 1.0], "format": [0.5, 0.5]}
    assert no_signal(normalized, same, [1.5, 1.5]) is True and no_signal(run, same, [1.5, 1.5]) is True
    assert no_signal(run, opposed, [None, 1.0]) and not no_signal(run, opposed, [0.0, 1.0])
