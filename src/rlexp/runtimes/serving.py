"""Requests that arrive over time, answered by a runtime in its own process: a server's load, without a server."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from rlexp.runtimes.protocol import Generated, Runtime, Sampling

LATE = 0.01
"""The share of answers that may take longer than a limit on their 99th percentile."""


def serve(
    runtime: Runtime,
    prompts: Sequence[Sequence[int]],
    arrivals: Sequence[float],
    sampling: Sampling,
    seed: int = 0,
    together: int = 1,
    limit: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Generated | None]:
    """Answers every prompt after it has arrived: what waits is taken in order, at most ``together`` at once, and what
    arrives meanwhile waits until these are answered.

    A runtime that can take a request while others are under way has a ``serve`` of its own.

    Args:
        arrivals: seconds from the start on, rising.
        limit: seconds that an answer may take. It ends as soon as so many are late that the 99th percentile is.

    Returns:
        An answer each, with ``seconds`` from its arrival on; None of those that were given up.
    """
    began, found = clock(), list[Generated | None]([None] * len(prompts))
    first = late = 0
    while first < len(prompts):
        now = clock() - began
        if now < arrivals[first]:
            sleep(arrivals[first] - now)
            continue
        some = [n for n in range(first, min(first + together, len(prompts))) if arrivals[n] <= now]
        answers = runtime.generate([prompts[n] for n in some], sampling, seed, len(some))
        for number, one in zip(some, answers, strict=True):
            waited = now - arrivals[number]
            found[number] = dataclasses.replace(one, seconds=[waited + second for second in one.seconds])
        first += len(some)
        if limit is not None:
            late += sum(_seconds(found[n], clock() - began - arrivals[n]) > limit for n in some)
            waiting = sum(clock() - began - one > limit for one in arrivals[first:])
            if late + waiting > LATE * len(prompts):
                break
    return found


def _seconds(one: Generated | None, otherwise: float) -> float:
    return one.seconds[-1] if one and one.seconds else otherwise
