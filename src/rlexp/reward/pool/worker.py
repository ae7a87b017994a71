"""The inside of a worker process: rewards loaded once, completions scored under a clock, scores noted as they come.

A worker receives its work through a pipe. What it notes while it scores lies in memory that the pool sees too
(``Board``): when a completion hangs or ends the worker, the pool knows which one it was and keeps the scores before it.
"""

from __future__ import annotations

import faulthandler
import math
import mmap
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

from rlexp.errors import RunError
from rlexp.reward.pool.call import Failure, RewardFunction, clock

BOARD_SCORES = 4096
"""Scores that a board holds: the most completions that travel in one chunk."""


class Board:
    """The notes of a worker while it scores a chunk, in memory that outlives it.

    Args:
        file: the descriptor of an open file of ``Board.BYTES``, the same in the pool and in the worker.
    """

    BYTES = 24 + 8 * BOARD_SCORES

    def __init__(self, file: int) -> None:
        view = memoryview(mmap.mmap(file, self.BYTES))
        self.done = view[0:8].cast("q")
        """Calls that ended; the one that runs has this number."""
        self.stop = view[8:16].cast("q")
        """Calls that are wanted; the pool lowers it to have the others back."""
        self.began = view[16:24].cast("d")
        """The time at which the running call began, by time.monotonic(); 0 before the first."""
        self.scores = view[24:].cast("d")
        """The scores of the chunk; NaN for None. A call with a failure in it sends its scores through the pipe."""

    def reset(self, calls: int) -> None:
        """Makes it ready for a chunk of so many calls."""
        self.done[0], self.stop[0], self.began[0] = 0, calls, 0.0


def main(pipe: Connection) -> None:
    """A worker's life: loads the rewards, then scores what comes through the pipe until its other end is closed.

    First it receives (rewards, names to load, seconds a completion, board, trace, parent): the last are two file
    descriptors and a process id. It answers ("loading", name) and ("ready", {name: RunError}). Then chunks come,
    (name, columns, completions a call), and it answers ("scores", first completion, scores) where they do not fit on
    the board, and at last ("done", completions, seconds) or ("mistake", RunError).
    """
    rewards, wanted, limit, board_file, trace_file, parent = pipe.recv()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    _die_with(parent)
    for file in (pipe.fileno(), board_file, trace_file):
        os.set_inheritable(file, False)
    # Where a reward was, when it ends the process or the pool is about to (SIGUSR1): written even from within C.
    faulthandler.enable(trace_file, all_threads=False)
    faulthandler.register(signal.SIGUSR1, trace_file, all_threads=False)
    if sys.stdout:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what is buffered dies with a worker
    board = Board(board_file)
    clock.install(limit)
    loaded: dict[str, RewardFunction] = {}
    broken: dict[str, RunError] = {}
    for name in wanted:
        pipe.send(("loading", name))
        try:
            loaded[name] = RewardFunction(name, *rewards[name])
        except RunError as error:
            broken[name] = error
    pipe.send(("ready", broken))
    while True:
        try:
            name, columns, size = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            answer: tuple[Any, ...] = ("done", *_score(loaded[name], columns, size, board, pipe))
        except RunError as mistake:
            answer = ("mistake", mistake)
        clock.stop()
        pipe.send(answer)


def _score(
    reward: RewardFunction, columns: dict[str, list[Any]], size: int, board: Board, pipe: Connection
) -> tuple[int, float]:
    """Scores a chunk, ``size`` completions a call; (completions, seconds) until the board asks to stop."""
    began = time.monotonic()
    total = len(next(iter(columns.values())))
    first = 0
    for call in range(math.ceil(total / size)):
        board.began[0] = time.monotonic()
        if call >= board.stop[0]:
            break
        last = min(first + size, total)
        clock.start(last - first)
        scores = reward.scores({name: values[first:last] for name, values in columns.items()})
        failed = any(isinstance(score, Failure) for score in scores)
        if failed:
            signal.alarm(0)  # that the reward may have left behind
        if failed or last > BOARD_SCORES:
            pipe.send(("scores", first, scores))
        else:
            for number, score in enumerate(scores, start=first):
                board.scores[number] = math.nan if score is None else score  # type: ignore[assignment]
        board.done[0] = call + 1
        first = last
    return first, time.monotonic() - began


def _die_with(parent: int) -> None:
    """Ends this process when its parent ends, however that happens.

    Only Linux can do it; elsewhere a worker ends once its pipe is closed, which it sees after the chunk it is at.
    """
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone already
        os._exit(1)
