"""When the command of this process was started: what ``max_minutes`` counts from."""

from __future__ import annotations

import time

_began: float | None = None


def begin(at: float | None = None) -> None:
    """Notes that a command starts now, or that its time of the monotonic clock was another."""
    global _began
    _began = time.monotonic() if at is None else at


def began() -> float:
    """The time of the monotonic clock at which the command began; now, in a process that runs none (a notebook)."""
    return time.monotonic() if _began is None else _began
