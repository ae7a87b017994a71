"""How far a verb is: a bar on a terminal, else a line every tenth of the way."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track

from rlexp.cli import flags


def watched(points: Sequence[Any]) -> Iterable[Any]:
    """The points of a sweep, one after the other, with a line on how far it is where stderr is a terminal."""
    console = Console(stderr=True)
    hidden = not console.is_terminal or flags.asks_json(sys.argv[1:]) or len(points) < 2
    return track(points, "points", console=console, transient=True, disable=hidden)


class Counter:
    """Counts what is done of ``total``; a context, behind which the bar is gone.

    Args:
        what: what is counted: ``prompts``.
    """

    def __init__(self, console: Console, total: int, what: str) -> None:
        self.console, self.total, self.what = console, total, what
        columns = (MofNCompleteColumn(), BarColumn(20), TextColumn(what), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, transient=True) if console.is_terminal else None
        self.began = time.perf_counter()
        self.last_tenth = 0

    def __enter__(self) -> Counter:
        if self.bar:
            self.task = self.bar.add_task(self.what, total=self.total)
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()

    def __call__(self, done: int) -> None:
        """Shows that so many are done."""
        if self.bar:
            self.bar.update(self.task, completed=done)
            return
        tenth = done * 10 // max(self.total, 1)
        if tenth > self.last_tenth:
            self.last_tenth = tenth
            took = time.perf_counter() - self.began
            left = took / done * (self.total - done)
            self.console.print(f"{done}/{self.total} {self.what}  {took:.0f} s, {left:.0f} s left")
