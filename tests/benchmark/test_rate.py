"""The highest rate that keeps a limit: against simulated servers whose capacity is known, on a clock of their own."""

from __future__ import annotations

import numpy as np
import pytest

from rlexp.benchmark import rate
from rlexp.runtimes import serving
from rlexp.runtimes.protocol import Generated, Sampling


class Simulated:
    """A runtime that takes 1 s for whatever it is handed at once."""

    def __init__(self):
        self.now = 0.0

    def generate(self, prompts, sampling, seed=0, together=1):
        self.now += 1.0
        return [Generated([1, 2], True, [0.5, 1.0]) for _ in prompts]

    def serve(self, prompts, arrivals, sampling, seed=0, together=1, limit=None):
        sleep = lambda seconds: setattr(self, "now", self.now + max(seconds, 1e-9))  # noqa: E731
        return serving.serve(self, prompts, arrivals, sampling, seed, together, limit, lambda: self.now, sleep)


def searched(together: int, limit: float, budget: float, begin: float = 0.5) -> rate.Found:
    server = Simulated()

    def trial(per_s: float) -> list[float | None]:
        number = rate.number_of(per_s, limit)
        given = server.serve([[1]] * number, rate.arrivals(per_s, number), Sampling(2), 0, together, limit)
        return [one.seconds[-1] if one else None for one in given]

    return rate.search(trial, begin, limit, budget, lambda: server.now)


@pytest.mark.parametrize("together", [1, 4, 16])
def test_the_rate_is_found_below_the_capacity(together):
    found = searched(together, limit=4.0, budget=1e6, begin=together / 2)
    assert found.bound == "runtime" and found.p99_s <= 4.0
    assert 0.3 * together < found.per_s < 1.2 * together  # it answers so many in a second
    assert found.per_s < found.above_per_s <= found.per_s * rate.NEAR
    assert max(one["per_s"] for one in found.trials if one["p99_s"] and one["p99_s"] <= 4.0) == found.per_s


def test_a_search_without_an_end_in_time_says_so():
    found = searched(4, limit=100.0, budget=200, begin=0.2)
    assert found.bound == "time" and found.per_s and found.above_per_s is None
    assert searched(4, limit=4.0, budget=0.1).trials  # one at least


def test_where_no_rate_keeps_the_limit_none_is_named():
    found = searched(1, limit=0.5, budget=1e6)
    assert (found.per_s, found.p99_s, found.bound) == (None, None, "runtime")


def test_arrivals_are_the_same_chance_at_every_rate():
    one, ten = (np.array(rate.arrivals(per_s, 4000)) for per_s in (1, 10))
    assert one == pytest.approx(10 * ten)
    gaps = np.diff(one, prepend=0)
    assert gaps.mean() == pytest.approx(1, rel=0.05) and gaps.std() == pytest.approx(1, rel=0.1)


def test_what_has_arrived_is_taken_in_order_and_times_count_from_the_arrival():
    server = Simulated()
    found = server.serve([[n] for n in range(5)], [0.0, 0.1, 0.2, 0.3, 5.0], Sampling(2), together=2)
    assert [one.seconds[-1] for one in found] == pytest.approx([1.0, 1.9, 1.8, 2.7, 1.0])
    assert found[0].seconds[0] == pytest.approx(0.5)


def test_requests_behind_a_limit_that_was_missed_are_given_up():
    server = Simulated()
    found = server.serve([[n] for n in range(50)], [0.0] * 50, Sampling(2), together=1, limit=3.0)
    assert found[0] and found[-1] is None and server.now < 10
