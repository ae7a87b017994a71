"""A verb in a process of its own, which ends when the one that asked for it does, however that one ends."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlexp.backend.engine.server_guard import PR_SET_PDEATHSIG

CODES = (0, 1, 2, 3, 130, 143)


def run(words: Sequence[str], root: Path, stdout: Any = None) -> tuple[int, str]:
    """Runs a verb with its words.

    Args:
        stdout: as of ``subprocess.run``.

    Returns:
        (its exit code, 1 where a signal ended it; what it printed, where that was asked for).
    """
    command = [sys.executable, "-m", "rlexp", *words]
    done = subprocess.run(command, cwd=root, stdout=stdout, text=True, preexec_fn=_bound())
    return done.returncode if done.returncode in CODES else 1, done.stdout or ""


def _bound() -> Callable[[], Any] | None:
    """What makes the kernel end the process with its parent; None where it cannot."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)  # before the fork
    return lambda: library.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
