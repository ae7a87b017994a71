"""The work of the pool: requests, the chunks of them that travel to a worker, and how large a chunk should be."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from rlexp.reward.pool.call import Score
from rlexp.reward.pool.worker import BOARD_SCORES

CHUNK_S = 0.05
"""Seconds that a chunk should take: long beside handing it out (0.2 ms), short beside a batch."""
FIRST_CHUNK = 16
"""Completions in a chunk while nothing is known of the reward."""


class ScoreRequest:
    """The completions that one call of ``Workers.submit`` wants scored.

    Args:
        name: the term.
        columns: what its function reads, lists of one length.
        size: completions in one call of the function.
    """

    def __init__(self, name: str, columns: Mapping[str, list[Any]], size: int) -> None:
        self.name, self.columns, self.size = name, columns, size
        self.future: Future[list[Score]] = Future()
        self.future.set_running_or_notify_cancel()
        count = len(next(iter(columns.values())))
        self.waiting = deque([range(count)])
        """Completions that no worker has."""
        self.lost = 0
        """Workers that ended before they began with what they were sent of it."""
        self._scores: list[Score] = [None] * count
        self._missing = count

    def take(self, count: int) -> Chunk:
        """About ``count`` completions of those that wait, whole calls."""
        rows = self.waiting.popleft()
        taken = rows[: max(1, count // self.size) * self.size]
        self.give_back(rows[len(taken) :])
        return Chunk(self, taken)

    def give_back(self, rows: range) -> None:
        """Puts completions back, before all others that wait."""
        if rows:
            self.waiting.appendleft(rows)

    def part(self, rows: range) -> dict[str, list[Any]]:
        """The columns of some completions."""
        return {name: values[rows.start : rows.stop] for name, values in self.columns.items()}

    def keep(self, rows: range, scores: list[Score]) -> None:
        """Takes the scores of some completions; with the last of them the job is done."""
        if self.future.done():
            return
        self._scores[rows.start : rows.stop] = scores
        self._missing -= len(rows)
        if not self._missing:
            self.future.set_result(self._scores)

    def fail(self, error: BaseException) -> None:
        """Ends the job; scores that still come are dropped."""
        self.waiting.clear()
        if not self.future.done():
            self.future.set_exception(error)


@dataclass
class Chunk:
    """Completions of a job that a worker has."""

    job: ScoreRequest
    rows: range
    sent_scores: dict[int, list[Score]] = field(default_factory=dict)
    """Scores that came through the pipe, by the number of their first completion within the chunk."""

    def calls(self) -> int:
        """The number of calls of the function for it."""
        return -(-len(self.rows) // self.job.size)


class ChunkSizes:
    """The number of completions that should travel together: as many as take about CHUNK_S.

    Args:
        processes: that share the work.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._usual: dict[str, int] = {}

    def next(self, job: ScoreRequest) -> int:
        """Completions for the next chunk: fewer towards the end, so that all workers end together; but no crumbs."""
        usual, waiting = self._usual.get(job.name, FIRST_CHUNK), sum(map(len, job.waiting))
        return min(usual, max(usual // 8, waiting // (2 * self._processes)))

    def learn(self, name: str, count: int, seconds: float) -> None:
        """Takes note of a chunk: ``count`` completions took ``seconds``."""
        # By halves and doubles: one completion that hangs says little of the others.
        usual = self._usual.get(name, FIRST_CHUNK)
        if seconds > 2 * CHUNK_S:
            self._usual[name] = max(1, usual // 2)
        elif seconds < CHUNK_S / 2 and count >= usual:
            self._usual[name] = min(BOARD_SCORES, usual * 2)
