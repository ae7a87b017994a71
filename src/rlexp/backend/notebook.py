"""What a notebook shows while a run trains: one line that changes, above the curve so far."""

from __future__ import annotations

import html
import time
from typing import Any

from rlexp.errors import printable
from rlexp.record import curve

EVERY_S = 0.5
"""Seconds between two pictures at least: a run of thousands of steps must not fill the notebook's channel."""


class Progress:
    """One output of a cell, which is replaced as the run goes on."""

    def __init__(self) -> None:
        self._line = ""
        self._entries: list[dict[str, Any]] = []
        self._handle: Any = None
        self._shown = 0.0

    def add(self, line: str, entry: dict[str, Any]) -> None:
        """Takes a log entry, and shows it where the last one was shown long enough.

        Args:
            line: where the run stands, in words.
            entry: as in ``metrics.jsonl``: its step and values.
        """
        self._line = line
        self._entries.append(entry)
        if time.monotonic() - self._shown >= EVERY_S:
            self.show()

    def show(self) -> None:
        """Replaces what is shown: the line, and below it the curve of the reward or the loss."""
        if not self._line:
            return
        from IPython.display import display

        drawn = curve.svg(*curve.of_entries(self._entries))
        words = html.escape(printable(self._line))
        picture = {"text/plain": self._line, "text/html": f"<pre>{words}</pre>{drawn}"}
        if self._handle is None:
            self._handle = display(picture, raw=True, display_id=True)
        else:
            self._handle.update(picture, raw=True)
        self._shown = time.monotonic()
