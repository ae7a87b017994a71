"""A worker process, seen from the pool: how it is started, watched and ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rlexp.inputs.reward_source import RewardSource
from rlexp.reward.pool.jobs import Chunk
from rlexp.reward.pool.worker import Board

PROGRAM = (
    "import sys; from multiprocessing.connection import Connection; pipe = Connection({pipe});"
    " sys.path[:] = pipe.recv(); from rlexp.reward.pool.worker import main; main(pipe)"
)
"""The program of a worker. Its sys.path is that of its parent, so that the same imports find the same files."""


class Process:
    """A worker process; it starts at once, in the background.

    It is a new interpreter that knows nothing of this one: neither a fork, which would copy CUDA and threads, nor
    multiprocessing's spawn, which imports the parent's main module again. It has a process group of its own: Ctrl-C
    does not reach it, and what a reward started ends with it. Sets of strings have one order in all of them, so that a
    reward that depends on it scores the same in each.

    Args:
        number: its place in the pool.
        rewards: by term, the files and their parameters.
        wanted: terms that it loads.
        time_limit: seconds a completion.
        folder: its working directory; that of this process may be another one by then.
    """

    def __init__(
        self,
        number: int,
        rewards: dict[str, tuple[RewardSource, dict[str, Any]]],
        wanted: list[str],
        time_limit: float,
        folder: str,
    ) -> None:
        self.number = number
        self.ready = False
        self.loading: str | None = None
        """The term whose file it imports."""
        self.chunk: Chunk | None = None
        """The chunk that it was sent and has not answered yet."""
        self.pipe, other_end = multiprocessing.Pipe()
        self._trace = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the worker
        with tempfile.TemporaryFile() as memory:
            memory.truncate(Board.BYTES)
            self.board = Board(memory.fileno())
            files = (memory.fileno(), self._trace.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM.format(pipe=other_end.fileno())],
                env={"PYTHONHASHSEED": "0", **os.environ, "OMP_NUM_THREADS": "1"},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                pass_fds=(other_end.fileno(), *files),
                process_group=0,
            )
        other_end.close()
        with contextlib.suppress(OSError):  # it has ended already: seen when it is listened to
            self.pipe.send(sys.path)
            self.pipe.send((rewards, wanted, time_limit, *files, os.getpid()))

    @property
    def alive(self) -> bool:
        """Says whether it runs."""
        return self._process.poll() is None

    def send(self, chunk: Chunk) -> None:
        """Has a chunk scored; the worker must be ready and have none.

        Raises:
            Exception: a column cannot be pickled.
        """
        self.board.reset(chunk.calls())
        self.chunk = chunk
        with contextlib.suppress(OSError):  # as above
            self.pipe.send((chunk.job.name, chunk.job.part(chunk.rows), chunk.job.size))

    def call(self) -> tuple[int, float] | None:
        """(number, seconds so far) of the call within its chunk that it is at; None where it is at none."""
        began = self.board.began[0]
        return (self.board.done[0], time.monotonic() - began) if self.chunk and began else None

    def recall_after(self, call: int) -> None:
        """Takes back what waits behind the call that it is at."""
        if not self.chunk:
            return
        remaining = self.chunk.rows[: (call + 1) * self.chunk.job.size]
        if len(remaining) == len(self.chunk.rows):
            return
        self.board.stop[0] = call + 1
        # It looks at `stop` after it has noted the call as done: one that is not done yet will be the last.
        if self.board.done[0] == call:
            self.chunk.job.give_back(self.chunk.rows[len(remaining) :])
            self.chunk.rows = remaining

    def interrupt(self) -> None:
        """Has it write down where it is, then kills it."""
        with contextlib.suppress(OSError):
            self._process.send_signal(signal.SIGUSR1)
        patience = time.monotonic() + 0.2
        written, before = 0, -1
        while (not written or written != before) and time.monotonic() < patience:  # it is written line by line
            time.sleep(0.01)
            written, before = os.fstat(self._trace.fileno()).st_size, written
        self.kill()

    def kill(self) -> None:
        """Kills it and what its rewards started."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def ended(self, patience: float = 1.0) -> str:
        """Waits for its end, or makes it end after ``patience`` seconds, and says how it came."""
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        self.kill()  # the others of its group
        return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"

    def line(self, source: RewardSource) -> str:
        """The line of the reward file where it ended, else the file; from the stack that faulthandler wrote."""
        self._trace.seek(0)
        for path, line in re.findall(r'File "(.+)", line (\d+)', self._trace.read().decode(errors="replace")):
            if Path(path) == source.path:
                return f"{source.file}:{line}"
        return source.file

    def close(self) -> None:
        """Lets go of what is held here; a worker that is idle then ends by itself."""
        self.pipe.close()
        self._trace.close()
