"""The ranks of a run: started by the command itself, watched while they work, and ended together.

Why not torchrun's own agent: it gives processes 30 seconds after a signal, and a step that is to be saved may take
longer; and it does not know which rank failed first. Its variables are the same (``backend.ranks.environment``).

A terminal's Ctrl-C reaches the command alone, which passes it on to every rank; with Ctrl-Z all stop and go on. What a
rank failed of is told once: a rank that lost another one fails too.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import cloudpickle

from rlexp.backend import ranks
from rlexp.errors import Failed, RunError
from rlexp.train.devices.rank import ALIVE, MOVED, Answer, Asked

PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    " from multiprocessing.connection import Connection; pipe = Connection({pipe});"
    " sys.path[:] = pipe.recv(); from rlexp.train.devices.rank import serve; serve(pipe)"
)
"""The program of a rank. Its sys.path is that of its parent, so that the same imports find the same files."""
SILENT_S = 30.0
"""Seconds without a sign of life after which a rank stands still."""
STILL_S = 900.0
"""Seconds without a step, or a batch of an evaluation, of any rank after which they wait for ever."""
SLOWER = 10
"""Times as long as the longest that one took may the next take, where that is more."""
GRACE_S = 20.0
"""Seconds that the others have to end by themselves once one has failed."""
TICK_S = 0.5
"""Seconds between two looks at the ranks."""
LOST = ("gloo/", "Connection closed by peer", "Connection reset", "did not end within", "NCCL", "DistBackendError")
"""Parts of what a rank says that lost another one."""


class Rank:
    """The process of one rank.

    Args:
        log: takes what it prints; None for the terminal.
        variables: of its environment, beside those of the command.
    """

    def __init__(self, number: int, log: Path | None, variables: Mapping[str, str]) -> None:
        self.number = number
        self.answer: Answer | None = None
        self.lost: str | None = None
        """How its process ended without an answer."""
        self.heard = self.moved = time.monotonic()
        self.slowest = 0.0  # seconds of the longest step so far, or of what stood between two
        self.pipe, other = multiprocessing.Pipe()
        with contextlib.ExitStack() as stack:
            said = stack.enter_context(log.open("ab")) if log else None
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM.format(pipe=other.fileno())],
                env={**os.environ, **variables},
                pass_fds=(other.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # Ctrl-C goes to the command, which passes it on
            )
        other.close()

    @property
    def ended(self) -> bool:
        """Says whether it is done, well or not."""
        return self.answer is not None or self.lost is not None

    @property
    def failed(self) -> bool:
        """Says whether it ended otherwise than asked."""
        return self.lost is not None or (self.answer is not None and self.answer.error is not None)

    def give(self, asked: Asked) -> None:
        """Has it work."""
        with contextlib.suppress(OSError):  # it died meanwhile, which its pipe says
            self.pipe.send(sys.path)
            self.pipe.send_bytes(cloudpickle.dumps(asked))

    def listen(self) -> None:
        """Takes what it sent."""
        try:
            while not self.ended and self.pipe.poll():
                content = self.pipe.recv_bytes()
                self.heard = time.monotonic()
                if content == MOVED:
                    self.slowest, self.moved = max(self.slowest, self.heard - self.moved), self.heard
                elif content != ALIVE:
                    self.answer = cloudpickle.loads(content)
        except (EOFError, OSError):
            code = self.process.wait()
            self.lose(f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}")

    def lose(self, how: str) -> None:
        """Notes that it ended without an answer."""
        if not self.ended:
            self.lost = f"rank {self.number} (process {self.process.pid}) {how}"

    def send(self, number: int) -> None:
        """Sends it a signal, where it lives."""
        if self.process.poll() is None:
            self.process.send_signal(number)


class Group:
    """The ranks of one run.

    Args:
        logs: of each rank what takes what it prints; None for the terminal.
        gpus: one a rank, as CUDA_VISIBLE_DEVICES names them; none on a CPU.
        variables: of the environment of each rank, beside those that tell its place.
    """

    def __init__(
        self,
        logs: Sequence[Path | None],
        gpus: Sequence[str] = (),
        variables: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self.signals: list[int] = []
        """Those that came to the command."""
        self.order: list[Rank] = []
        """The ranks in the order in which they ended."""
        self.ranks: list[Rank] = []
        port = ranks.free_port()
        for number, log in enumerate(logs):
            place = ranks.environment(number, len(logs), gpus, port)
            self.ranks.append(Rank(number, log, {**place, **(variables[number] if variables else {})}))

    def run(self, asked: Sequence[Asked]) -> None:
        """Has every rank do its work; returns when all ended."""
        try:
            with self._heard():
                for rank, one in zip(self.ranks, asked, strict=True):
                    rank.give(one)
                self._watch()
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends what is left at once."""
        for rank in self.ranks:
            if not rank.answer:
                rank.send(signal.SIGKILL)
            rank.process.wait()
            rank.pipe.close()

    def cause(self) -> Rank | None:
        """The rank that ended the run; None where all did their work.

        An error of rank 0 that has words of its own (a reward, a check) comes first, since the others are told it; then
        a process that died, then the first whose error is not that it lost another. On GPUs a rank that lost another
        waits in a kernel, and is ended with the time for that.
        """
        failed = [rank for rank in self.order if rank.failed]
        own = [rank for rank in failed if rank.number == 0 and _worded(rank)]
        died = [rank for rank in failed if rank.lost and not _lost_another(rank)]
        others = [rank for rank in failed if not _lost_another(rank)]
        return next(iter([*own, *died, *others, *failed]), None)

    def _watch(self) -> None:
        deadline = float("inf")
        while open_ranks := [rank for rank in self.ranks if not rank.ended]:
            wait([rank.pipe for rank in open_ranks], TICK_S)
            for rank in open_ranks:
                rank.listen()
            now = time.monotonic()
            for rank in open_ranks:
                if not rank.ended and now - rank.heard > SILENT_S:
                    rank.lose(f"gave no sign of life for {SILENT_S:g} s")
                    rank.send(signal.SIGKILL)
                elif not rank.ended and now > deadline:
                    rank.lose(f"did not end within {GRACE_S:g} s of another")
                    rank.send(signal.SIGKILL)
                if rank.ended:
                    self.order.append(rank)
            if not self.order and now - max(rank.moved for rank in self.ranks) > self._patience():
                for rank in open_ranks:
                    rank.lose(f"lives, and did no step for {self._patience():.0f} s, nor did another")
                    rank.send(signal.SIGKILL)
                    self.order.append(rank)
            if any(rank.failed for rank in self.order):
                deadline = min(deadline, now + GRACE_S)

    def _patience(self) -> float:
        return max(STILL_S, SLOWER * max(rank.slowest for rank in self.ranks))

    @contextlib.contextmanager
    def _heard(self) -> Iterator[None]:
        """Passes signals on as long as the block lasts; a thread that is not the first may not."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._pause)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, number: int, frame: Any) -> None:
        self.signals.append(number)
        for rank in self.ranks:
            rank.send(number)

    def _pause(self, number: int, frame: Any) -> None:
        """Stops all until the command is told to go on; in a session of its own SIGTSTP would do nothing."""
        for rank in self.ranks:
            rank.send(signal.SIGSTOP)
        began = time.monotonic()
        os.kill(os.getpid(), signal.SIGSTOP)
        for rank in self.ranks:  # which were neither silent nor slow meanwhile
            rank.heard, rank.moved = (moment + time.monotonic() - began for moment in (rank.heard, rank.moved))
            rank.send(signal.SIGCONT)


def _worded(rank: Rank) -> bool:
    error = rank.answer.error if rank.answer else None
    return isinstance(error, RunError) and not isinstance(error, Failed)


def _lost_another(rank: Rank) -> bool:
    """Says whether all that a rank tells is that it lost the connection to another."""
    text = rank.lost or str(rank.answer.error if rank.answer else "")
    return any(mark in text for mark in LOST)


def raised(rank: Rank) -> BaseException:
    """The error of a rank with all that it held, to be raised in the command."""
    assert rank.answer and rank.answer.error is not None
    error = rank.answer.error
    vars(error).update(rank.answer.facts)
    return error
