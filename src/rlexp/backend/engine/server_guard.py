"""Runs a command that ends when the process which started it does, however that one ends.

A program of its own, for ``server.started``: ``python -I server_guard.py PARENT COMMAND...``. The command and what it
starts get SIGTERM first, then SIGKILL.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from typing import Any

PATIENCE_S = 10.0
"""Seconds between SIGTERM and SIGKILL."""
PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> int:
    """Runs the command, and answers its exit code; 128 + the signal where one ended it."""
    signal.signal(signal.SIGTERM, _leave)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone already
        return 1
    child = subprocess.Popen(command, process_group=0)
    try:
        code = child.wait()
        return code if code >= 0 else 128 - code
    finally:
        _send(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE_S)
        _send(child.pid, signal.SIGKILL)


def _leave(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + signal.SIGTERM)


def _send(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
