"""Metrics of several samples of a prompt."""

import itertools
import random

import numpy as np
import pytest

from rlexp.evaluate.statistics.metrics import majority_at_k, pass_at_k, pass_hat_k


def chens_script(n, c, k):
    """Chen et al., Evaluating Large Language Models Trained on Code (2021): the product in their figure 3."""
    return 1.0 if n - c < k else 1.0 - float(np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 2), (16, 8), (200, 1), (200, 10), (200, 100)])
def test_pass_at_k_is_that_of_chen_et_al(n, k):
    for c in range(0, n + 1, max(1, n // 20)):
        assert pass_at_k(n, c, k) == pytest.approx(chens_script(n, c, k), abs=1e-12)
    assert pass_at_k(n, 1, k) == k / n


@pytest.mark.parametrize(("metric", "rule"), [(pass_at_k, any), (pass_hat_k, all)])
def test_both_are_the_mean_over_all_draws(metric, rule):
    for n, k in itertools.product(range(1, 7), range(1, 7)):
        for c in range(n + 1):
            draws = [rule(draw) for draw in itertools.combinations([True] * c + [False] * (n - c), k)]
            assert metric(n, c, k) == (pytest.approx(np.mean(draws)) if k <= n else None)


def test_they_are_unbiased_where_the_plain_power_is_not():
    rng = np.random.default_rng(9)
    right = rng.binomial(8, 0.3, 20000)
    assert np.mean([pass_at_k(8, c, 4) for c in right]) == pytest.approx(1 - 0.7**4, abs=0.005)
    assert np.mean([pass_hat_k(8, c, 2) for c in right]) == pytest.approx(0.09, abs=0.005)
    assert np.mean(1 - (1 - right / 8) ** 4) < 1 - 0.7**4 - 0.03


def test_thousands_of_samples_are_no_overflow():
    assert pass_at_k(5000, 1, 2500) == 0.5 and 0 < pass_hat_k(5000, 4999, 2500) <= 0.5


def by_going_through(answers, scores, k):
    of = {answer: np.mean([s for a, s in zip(answers, scores, strict=True) if a == answer]) for answer in set(answers)}
    won = []
    for draw in itertools.combinations(answers, k):
        votes = {answer: draw.count(answer) for answer in draw if answer is not None} or {None: 1}
        won.append(np.mean([of[answer] for answer, count in votes.items() if count == max(votes.values())]))
    return np.mean(won)


def test_the_majority_is_that_of_all_draws_ties_shared():
    rng = random.Random(10)
    for _ in range(60):
        n = rng.randint(1, 8)
        answers = [rng.choice(["4", "5", "six", None]) for _ in range(n)]
        scores = [rng.random() for _ in range(n)]
        for k in range(1, n + 1):
            assert majority_at_k(answers, scores, k) == pytest.approx(by_going_through(answers, scores, k))


def test_the_order_of_the_samples_plays_no_part():
    rng = random.Random(11)
    samples = [(rng.choice("abcd"), rng.random()) for _ in range(12)]
    found = set()
    for _ in range(5):
        rng.shuffle(samples)
        found.add(round(majority_at_k([answer for answer, _ in samples], [score for _, score in samples], 5), 12))
    assert len(found) == 1


def test_one_vote_is_the_mean_and_all_votes_are_the_majority():
    answers, scores = ["a", "a", "b", None], [1, 1, 0, 0]
    assert majority_at_k(answers, scores, 1) == 0.5
    assert majority_at_k(answers, scores, 4) == 1
    assert majority_at_k([None, None], [0.25, 0.75], 2) == 0.5


def test_unscored_samples_are_not_drawn():
    assert majority_at_k(["a", "b"], [1, None], 1) == 1 and majority_at_k(["a", "b"], [1, None], 2) is None
    assert pass_at_k(0, 0, 1) is None and majority_at_k([], [], 1) is None
