"""The best setting of a sweep: what choosing it adds, whether it is told from the second, and the seeds that takes."""

import numpy as np
import pytest

from rlexp.evaluate.statistics.winner import fold, seeds_for, winner


def runs(*values: float, first: int = 0) -> dict[int, float]:
    return dict(enumerate(values, start=first))


def drawn(rng: np.random.Generator, settings: int, seeds: int, better: float = 0.0) -> list[dict[int, float]]:
    """Settings that share what a seed does; the first is better."""
    shared = rng.normal(size=seeds)
    return [runs(*(shared + rng.normal(size=seeds) + better * (n == 0))) for n in range(settings)]


def test_the_seeds_of_a_setting_are_folded_into_students_t():
    found = fold(runs(1.0, 2.0, 3.0))
    assert (found.mean, found.seeds) == (2.0, 3) and found.method == "Student's t"
    assert (found.low, found.high) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert fold(runs(1.0)).low is None and "one seed" in fold(runs(1.0)).method
    assert fold(runs(1.0, 1.0)).low is None and "came to the same" in fold(runs(1.0, 1.0)).method


def test_a_difference_that_every_seed_shows_is_told_however_unlike_the_seeds_are():
    found = winner([runs(1.0, 5.0, 9.0), runs(1.5, 5.52, 9.49)])
    assert (found.best, found.second, found.told) == (1, 0, True)
    assert found.difference == pytest.approx(0.503, abs=1e-3) and found.low < 0.5 < found.high
    assert found.optimism == pytest.approx(0, abs=0.01)
    assert not winner([runs(1.0, 5.0, 9.0), runs(1.5, 5.52, 9.49, first=7)]).told, "no seed in common"


def test_lower_is_better_of_a_loss():
    found = winner([runs(2.0, 2.1), runs(1.0, 1.1), runs(3.0, 3.2)], higher=False)
    assert (found.best, found.second) == (1, 0) and found.difference == pytest.approx(-1.0)


def test_equals_are_not_told_apart_and_the_first_is_named():
    found = winner([runs(1.0, 2.0), runs(1.0, 2.0)])
    assert (found.best, found.difference, found.p, found.told, found.seeds_needed) == (0, 0.0, None, False, None)


def test_one_seed_tells_nothing_and_one_setting_is_alone():
    found = winner([runs(1.0), runs(2.0)])
    assert (found.best, found.optimism, found.p, found.told) == (1, None, None, False)
    assert "no second seed" in found.method
    assert winner([runs(1.0, 2.0)]).second is None


def test_a_setting_that_lost_a_seed_is_compared_as_if_it_had_it():
    # The second seed is 4 higher for all: without it the plain mean of the first setting is the lowest.
    found = winner([{0: 1.0, 2: 1.1}, runs(0.8, 4.8, 0.9), runs(0.7, 4.75, 0.8)])
    assert found.best == 0 and found.optimism is not None


def test_the_best_of_equals_is_told_in_one_sweep_of_twenty_at_most_and_its_optimism_is_what_it_gained():
    rng, sweeps = np.random.default_rng(5), 300
    for settings in (2, 6):
        found = [winner(drawn(rng, settings, 3)) for _ in range(sweeps)]
        assert np.mean([one.told for one in found]) < 0.05 + 3 * (0.05 * 0.95 / sweeps) ** 0.5
    # The highest of six means of three unit normals: 1.267 standard errors of 3 ** -0.5 above the truth.
    assert np.mean([one.optimism for one in found]) == pytest.approx(1.267 / 3**0.5, abs=0.1)


def test_the_seeds_that_are_said_are_enough_in_four_of_five_sweeps_and_one_less_is_not():
    rng, sweeps = np.random.default_rng(6), 400
    needed = seeds_for(1.5, 2**0.5)
    assert needed is not None and seeds_for(0.0, 1.0) is None
    told = [np.mean([winner(drawn(rng, 2, seeds, 1.5)).told for _ in range(sweeps)]) for seeds in (needed, needed - 2)]
    assert told[0] > 0.8 - 3 * 0.02 and told[1] < 0.8
