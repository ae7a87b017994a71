"""The end of a run that comes before its last step: a signal, the time that a scheduler gives, an error.

While it is trained, the first signal and the end of the time are only noted: the step is finished, a checkpoint and the
weights are saved, and the record says how far it came (``last_step`` asks, at the end of every step). A second signal
leaves at once. Before and after the training a signal raises; while the record is closed it is noted only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from rlexp import command
from rlexp.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class When(Enum):
    """Says when a signal ends the run."""

    now = "now"
    after_step = "after step"
    never = "never"


class Ending:
    """What asks a run to end, and how far it came.

    Args:
        max_minutes: from the start of the command; None for no limit.
    """

    def __init__(self, max_minutes: float | None = None) -> None:
        self.signal: int | None = None
        """The first signal that came."""
        self.done = 0
        """Optimizer steps that were trained, those of earlier attempts included."""
        self.asked: int | None = None
        """Optimizer steps of the whole run; None while the trainer has not said it."""
        self.stopped = False
        """The last step was told to be the last."""
        self.torn = False
        """The optimizer is at work: the weights are those of no step."""
        self._max_minutes = max_minutes
        self._began = command.began()
        self._when = When.never

    @property
    def late(self) -> bool:
        """Says whether the time of the run is over."""
        limit = self._max_minutes
        return limit is not None and time.monotonic() - self._began >= limit * 60

    @property
    def wanted(self) -> bool:
        """Says whether the run is to end with the step that it is at."""
        return self.signal is not None or self.late

    @property
    def short(self) -> bool:
        """Says whether fewer steps were trained than asked."""
        return self.asked is not None and self.done < self.asked

    @property
    def steps(self) -> str:
        """``5 of 40 steps``."""
        return f"{self.done} of {self.asked} steps" if self.asked else "no step"

    def outcome(self) -> tuple[str, str] | None:
        """(status, reason) of a run that ended early without an error; None of one that was trained to its end and in
        time."""
        if self.late and (self.short or self.stopped):
            return "interrupted", f"max_minutes={self._max_minutes:g} were over after {self.steps}"
        return ("stopped", f"training ended by itself after {self.steps}") if self.short else None

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Hears SIGINT and SIGTERM as long as the block lasts; a thread that is not the first may not, and does not."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def now(self) -> Iterator[None]:
        """A signal ends the block at once.

        Raises:
            Interrupted: one came.
        """
        try:
            with self._as(When.now):
                yield
        except Interrupted:
            raise
        except KeyboardInterrupt as error:  # a library's own
            raise Interrupted from error

    @contextlib.contextmanager
    def after_step(self) -> Iterator[None]:
        """A signal is noted; a second one ends the block at once.

        Raises:
            Interrupted: a second one came.
        """
        with self._as(When.after_step):
            yield

    def require(self) -> None:
        """Ends the run now, where a signal was noted.

        Raises:
            Interrupted: one was.
        """
        if self.signal is not None:
            raise Interrupted(self.signal, f"after {self.steps}")

    def keep(self, save: Callable[[], Any]) -> None:
        """Saves the weights of the last step that was finished, before an error ends the run, where that is possible.

        Args:
            save: does it, and leaves nothing half written.
        """
        if self.done and not self.torn:
            # The error that is under way says more than what this one is.
            with contextlib.suppress(Exception):
                save()

    @contextlib.contextmanager
    def _as(self, when: When) -> Iterator[None]:
        before, self._when = self._when, when
        try:
            yield
        finally:
            self._when = before

    def _hear(self, number: int, frame: Any) -> None:
        first = self.signal is None
        if first:
            self.signal = number
        if self._when is When.now or (self._when is When.after_step and not first):
            raise Interrupted(number, f"after {self.steps}" if self.asked else "before the first step")
        if self._when is When.after_step:
            name = signal.Signals(number).name
            # Not print: the handler may run inside of one.
            os.write(2, f"\n{name}: this step is finished and saved, a second one ends it at once\n".encode())
