"""A pool of worker processes that scores completions: an exception, a hang or a crash costs one completion only.

Why none of the pools there are: the completion that hangs must be known and stopped, and yet thousands must travel in
few messages (pebble: 200 microseconds a task with a time limit of its own); and a worker must not import the main
module of its parent.

- One thread here owns everything: it starts the workers, hands out chunks and collects. ``submit`` only leaves a job.
- A chunk is sized by the time it takes. A worker that stays at one completion for long gives the others back.
- Two time limits: a soft one in the worker, an exception after so many seconds of computing (``call.Clock``); and a
  hard one here for what sleeps or cannot be interrupted, on the wall clock: the worker is killed and replaced.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from multiprocessing import connection
from types import TracebackType
from typing import Any, Self

from rlexp.errors import RunError
from rlexp.inputs.reward_source import RewardSource
from rlexp.reward.pool.call import Failure, RewardFunction, Score
from rlexp.reward.pool.jobs import Chunk, ChunkSizes, ScoreRequest
from rlexp.reward.pool.process import Process

__all__ = ["Failure", "Score", "Workers"]

STUCK_S = 0.05
"""A call that takes longer gives back what waits behind it."""
TICK_S = 0.05
"""Seconds between two looks at busy workers."""
MOST_LOST = 3
"""Workers that may end on being sent completions of a job, before its columns are to blame."""
CLOSE_S = 2.0
"""Seconds that an idle worker has to end by itself, and to run what its rewards registered with atexit."""


def hard_limit(time_limit: float, count: int) -> float:
    """Seconds on the wall clock after which a call with ``count`` completions is ended from outside.

    More than the soft limit, because a worker may wait for a processor.
    """
    return 2 * time_limit * count + 1


class Workers:
    """Scores completions by reward, in worker processes that stay in the working directory of now.

    Args:
        sources: the reward files with their parameters, by the name of the term.
        processes: how many; 0 scores in this process, without a time limit.
        time_limit: seconds of computing a completion; a call that is given ``n`` completions may take ``n`` times that.
    """

    def __init__(
        self, sources: dict[str, tuple[RewardSource, dict[str, Any]]], processes: int, time_limit: float
    ) -> None:
        self._sources = sources
        self._processes = processes
        self._time_limit = time_limit
        self._folder = os.getcwd()
        self._here: dict[str, RewardFunction] = {}
        # What wants whole batches may hold a model: one worker has it, the others never load it.
        whole = [name for name, (source, _) in sources.items() if source.whole_batches and not source.whole_groups]
        self._home = {name: number % processes for number, name in enumerate(whole)} if processes else {}
        self._sizes = ChunkSizes(processes)
        self._workers: dict[int, Process] = {}
        self._jobs: list[ScoreRequest] = []
        self._broken: dict[str, RunError] = {}
        self._inbox: deque[ScoreRequest] = deque()
        self._closed = False
        self._thread: threading.Thread | None = None
        if processes:
            self._wake_reader, self._wake_writer = multiprocessing.Pipe(duplex=False)
            self._thread = threading.Thread(target=self._run, name="reward workers", daemon=True)
            self._thread.start()

    def submit(self, name: str, columns: Mapping[str, list[Any]], group_size: int = 1) -> Future[list[Score]]:
        """Has completions scored.

        Args:
            name: the term.
            columns: exactly what its function reads, lists of one length: the number of completions.
            group_size: completions of one prompt, which stand side by side; only ``score_group`` is given whole groups.

        Returns:
            A score or a failure for each completion, in order. A RunError instead where the reward is at fault as a
            whole: it cannot be imported, or answered the wrong number of scores or something that is no number.
        """
        source, lengths = self._sources[name][0], {len(values) for values in columns.values()}
        if self._closed:
            raise RuntimeError("the workers were closed")
        if not columns:
            raise RunError(
                f"the reward {name} reads nothing of a completion",
                where=source.file,
                hint="take completions as its first argument",
            )
        if len(lengths) > 1:
            raise ValueError(f"columns of different lengths: {sorted(lengths)}")
        count = lengths.pop()
        size = group_size if source.whole_groups else max(count, 1) if source.whole_batches else 1
        if count % size:
            raise ValueError(f"{count} completions are no whole groups of {size}")
        job = ScoreRequest(name, columns, size)
        if not count:
            job.future.set_result([])
        elif self._thread:
            self._inbox.append(job)
            self._wake_writer.send_bytes(b"job")
        else:
            self._score_here(job)
        return job.future

    def score(self, name: str, columns: Mapping[str, list[Any]], group_size: int = 1) -> list[Score]:
        """``submit``, waited for.

        Raises:
            RunError: the reward is at fault, see ``submit``.
        """
        return self.submit(name, columns, group_size).result()

    def close(self) -> None:
        """Ends the workers; what is still being scored ends in a RuntimeError."""
        if self._thread and not self._closed:
            self._closed = True
            self._wake_writer.send_bytes(b"close")
            self._thread.join()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _score_here(self, job: ScoreRequest) -> None:
        try:
            if job.name not in self._here:
                self._here[job.name] = RewardFunction(job.name, *self._sources[job.name])
            while job.waiting:
                chunk = job.take(job.size)
                job.keep(chunk.rows, self._here[job.name].scores(job.part(chunk.rows)))
        except RunError as error:
            job.fail(error)

    # Everything below runs in the one thread.

    def _run(self) -> None:
        error: BaseException = RuntimeError("the workers were closed")
        try:
            for number in range(self._processes):
                self._start(number)
            while not self._closed:
                self._jobs = [job for job in self._jobs if not job.future.done()]
                self._hand_out()
                busy = any(worker.chunk for worker in self._workers.values())
                pipes = [self._wake_reader, *(worker.pipe for worker in self._workers.values())]
                heard = connection.wait(pipes, TICK_S if busy else None)
                if self._wake_reader in heard:
                    self._wake_reader.recv_bytes()
                    self._take_jobs()
                for worker in list(self._workers.values()):
                    if worker.pipe in heard:
                        self._listen(worker)
                for worker in list(self._workers.values()):
                    self._watch(worker)
        except BaseException as mistake:  # of ours: nobody may wait for a thread that is gone
            error = mistake
        finally:
            self._closed = True
            self._jobs += self._inbox
            for job in self._jobs:
                job.fail(error)
            self._end()

    def _start(self, number: int) -> None:
        names = [name for name in self._sources if self._home.get(name, number) == number]
        self._workers[number] = Process(number, self._sources, names, self._time_limit, self._folder)

    def _take_jobs(self) -> None:
        while self._inbox:
            job = self._inbox.popleft()
            self._jobs.append(job)
            if job.name in self._broken:
                job.fail(self._broken[job.name])

    def _hand_out(self) -> None:
        for worker in self._workers.values():
            while worker.ready and not worker.chunk and (chunk := self._next(worker)):
                try:
                    worker.send(chunk)
                except Exception as error:  # a column that cannot be pickled
                    worker.chunk = None
                    chunk.job.fail(error)

    def _next(self, worker: Process) -> Chunk | None:
        """The next chunk of a free worker: first what only it can do."""
        possible = [
            job for job in self._jobs if self._home.get(job.name, worker.number) == worker.number and job.waiting
        ]
        job = min(possible, key=lambda job: job.name not in self._home, default=None)
        return job.take(self._sizes.next(job)) if job else None

    def _listen(self, worker: Process) -> None:
        """Takes what a worker sent, or notices its end."""
        try:
            while worker.pipe.poll():
                self._heard(worker, worker.pipe.recv())
        except (EOFError, OSError):
            self._replace(worker)

    def _heard(self, worker: Process, message: tuple[Any, ...]) -> None:
        chunk = worker.chunk
        match message:
            case "loading", name:
                worker.loading = name
            case "ready", broken:
                worker.ready, worker.loading = True, None
                self._break(broken)
            case "scores", first, scores if chunk:
                chunk.sent_scores[first] = scores
            case "mistake", error if chunk:
                worker.chunk = None
                chunk.job.fail(error)
                for other in self._workers.values():
                    if other.chunk and other.chunk.job is chunk.job:
                        other.board.stop[0] = 0
            case "done", count, seconds if chunk:
                self._sizes.learn(chunk.job.name, count, seconds)
                self._collect(worker, count)

    def _collect(self, worker: Process, count: int, failure: Failure | None = None) -> None:
        """Keeps the scores of a chunk that a worker is done with, and takes back what it did not get to.

        Args:
            worker: who had the chunk.
            count: completions of it that were scored.
            failure: what the call after them came to, if it did.
        """
        chunk, worker.chunk = worker.chunk, None
        if not chunk:
            return
        on_board = worker.board.scores[:count]
        scores: list[Score] = [None if math.isnan(score) else score for score in on_board]
        for first, sent in chunk.sent_scores.items():
            scores[first : first + len(sent)] = sent
        if failure:
            scores = scores[:count] + [failure] * min(chunk.job.size, len(chunk.rows) - count)
        chunk.job.keep(chunk.rows[: len(scores)], scores)
        chunk.job.give_back(chunk.rows[len(scores) :])

    def _watch(self, worker: Process) -> None:
        """Replaces a worker that ended, stops one that takes too long, relieves one that is slow."""
        if not worker.alive:
            self._replace(worker)
        elif worker.chunk and (now := worker.call()):
            (call, seconds), limit = now, hard_limit(self._time_limit, worker.chunk.job.size)
            if seconds > limit:
                worker.interrupt()
                self._replace(worker, call, f"more than {limit:g} s, and not to be interrupted")
            elif seconds > STUCK_S:
                worker.recall_after(call)

    def _replace(self, worker: Process, stopped_at: int | None = None, why: str = "") -> None:
        """Starts another worker for one that ended.

        Args:
            worker: its process ended, or its pipe.
            stopped_at: the call for which it was killed; None where it ended by itself.
            why: it was killed.
        """
        how = worker.ended()
        with contextlib.suppress(EOFError, OSError):  # messages that it sent before
            while worker.pipe.poll():
                self._heard(worker, worker.pipe.recv())
        if worker.chunk:
            self._settle_dead_worker(worker, worker.chunk, stopped_at, why, how)
        worker.close()
        if worker.ready:
            self._start(worker.number)
            return
        del self._workers[worker.number]
        what, where = "starting", None
        if worker.loading:
            what, where = f"loading the reward {worker.loading}", self._sources[worker.loading][0].file
        hint = "type hardware.reward_workers=1 where memory is short; python -m rlexp score tries the reward alone"
        self._break(dict.fromkeys(self._sources, RunError(f"a worker {how} while {what}", where=where, hint=hint)))

    def _settle_dead_worker(self, worker: Process, chunk: Chunk, stopped_at: int | None, why: str, how: str) -> None:
        """Settles the chunk of a worker that ended: the call that it was at failed, what is behind it waits again."""
        call, failure = worker.call(), None
        done = call[0] if call else 0
        where = worker.line(self._sources[chunk.job.name][0])
        if stopped_at is None and call and done < chunk.calls():
            failure = Failure("died", f"the worker {how}", where)
        elif stopped_at == done:  # otherwise it came through at the last moment
            failure = Failure("timed out", why, where)
        elif not call:
            chunk.job.lost += 1
        self._collect(worker, min(done * chunk.job.size, len(chunk.rows)), failure)
        if chunk.job.lost > MOST_LOST:
            chunk.job.fail(RuntimeError(f"{chunk.job.lost} workers ended on being sent completions; the last {how}"))

    def _break(self, broken: Mapping[str, RunError]) -> None:
        """Has all that is asked of these rewards, now and later, end in an error."""
        self._broken.update(broken)
        for job in self._jobs:
            if job.name in broken:
                job.fail(broken[job.name])

    def _end(self) -> None:
        for worker in self._workers.values():
            if worker.chunk or not worker.ready:
                worker.kill()
            worker.close()
        for worker in self._workers.values():
            worker.ended(CLOSE_S)
        self._wake_reader.close()
