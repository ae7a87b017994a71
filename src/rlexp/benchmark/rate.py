"""The highest rate of requests that keeps the 99th percentile of the whole answer below a limit.

Requests arrive by chance (Poisson), in real time, at a runtime that answers what waits. The rate is doubled until the
limit is passed, then the span between is halved, for as long as there is time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import Generated, Sampling

TIMES = 2.0
"""The limit where none is given: so many times the 95th percentile of an answer alone. The median would not do: where
answers differ in length, the longest take longer than some times the median without any queue."""
NEAR = 1.15
"""The highest rate that kept the limit and the lowest that did not are as near as this: it is found."""
LOWEST = 1 / 16
"""Of the rate that was begun with: where this does not keep the limit, none does."""
LEAST, SPAN = 32, 8
"""Requests of a trial, at least; and so many times the limit it lasts, that a queue that grows shows: a rate of more
than SPAN / (SPAN - 1) of what the runtime can answer is seen to be too much."""

Trial = Callable[[float], list[float | None]]
"""A rate, in requests a second -> seconds of each answer; None of those that were given up as too late."""


@dataclass
class Found:
    """What the search came to."""

    limit_s: float
    per_s: float | None = None
    """The highest rate that kept the limit; None where none did."""
    p99_s: float | None = None
    """At that rate."""
    above_per_s: float | None = None
    """The lowest rate that did not keep it; None where every one did."""
    bound: str = "time"
    """What ended the search: ``runtime``, the limit was passed close above; ``time``, it might be higher."""
    trials: list[dict[str, float | None]] = field(default_factory=list)
    """The rates that were tried, and the 99th percentile where it was reached."""

    def to_json(self) -> dict[str, Any]:
        """It as JSON values."""
        return asdict(self)


def arrivals(rate: float, number: int, seed: int = 0) -> list[float]:
    """When requests arrive, in seconds: the same chance at every rate, only faster."""
    return (np.random.default_rng(seed).exponential(1.0, number).cumsum() / rate).tolist()


def number_of(rate: float, limit: float) -> int:
    """The requests of a trial."""
    return max(LEAST, math.ceil(SPAN * limit * rate))


def search(
    trial: Trial, begin: float, limit: float, budget: float, clock: Callable[[], float] = time.perf_counter
) -> Found:
    """Looks for the highest rate that keeps the limit.

    Args:
        begin: the first rate.
        budget: seconds; a trial that would not be through in them is not begun, but for the first.
    """
    found, began, rate = Found(limit), clock(), begin
    while not found.trials or clock() - began + number_of(rate, limit) / rate <= budget:
        seconds = trial(rate)
        late = any(one is None for one in seconds)
        p99 = None if late else float(np.percentile([one for one in seconds if one is not None], 99))
        found.trials.append({"per_s": rate, "p99_s": p99})
        if p99 is not None and p99 <= limit:
            found.per_s, found.p99_s = rate, p99
        else:
            found.above_per_s = rate
        low, high = found.per_s, found.above_per_s
        if high and (high / low <= NEAR if low else high <= begin * LOWEST):
            found.bound = "runtime"
            break
        rate = math.sqrt(low * high) if low and high else rate * 2 if low else rate / 2
    return found


def of(
    host: Host,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    together: int,
    begin: float,
    limit: float,
    budget: float,
) -> tuple[Found, list[Generated]]:
    """The rate of a runtime, and the answers that it gave meanwhile.

    Args:
        prompts: taken in turn.
        together: requests that the runtime answers at once.
    """
    answers: list[Generated] = []

    def trial(rate: float) -> list[float | None]:
        number = number_of(rate, limit)
        asked = [prompts[n % len(prompts)] for n in range(number)]
        given = host.serve(asked, arrivals(rate, number), sampling, 0, together, limit)
        answers.extend(one for one in given if one)
        return [one.seconds[-1] if one and one.seconds else None for one in given]

    return search(trial, begin, limit, budget), answers
