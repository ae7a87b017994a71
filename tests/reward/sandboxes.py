"""Whether this machine can have a sandbox, and the processes of those that run."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest


def _why_not() -> str:
    """Why bwrap can do nothing here. ``available`` is not asked: a fault of ours must not skip the tests."""
    try:
        walls = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "true"]
        tried = subprocess.run(walls, capture_output=True, text=True)
    except OSError as error:
        return f"no sandbox here: {error}"
    return f"no sandbox here: {tried.stderr.strip()}" if tried.returncode else ""


needs_sandbox = pytest.mark.skipif(bool(_why_not()), reason=_why_not())


def sandboxed():
    """The processes of all sandboxes on this machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"# rlexp sandbox" in path.read_bytes():
                found.add(path.parent.name)
        except OSError:
            continue
    return found


def outlive(before, seconds=15):
    """Processes of sandboxes that came after ``before`` and are still there: others may run some of their own."""
    left, end = sandboxed() - before, time.monotonic() + seconds
    while left and time.monotonic() < end:
        time.sleep(0.02)
        left &= sandboxed()
    return left
