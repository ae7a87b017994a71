"""How a run stands: what its manifest says, and whether the process that wrote it is still there."""

from __future__ import annotations

import math
import os
import platform
import time
from pathlib import Path
from typing import Any

SLACK = 60
"""Seconds by which two clocks may differ over the beginning of a process."""


def process() -> dict[str, Any]:
    """What a manifest keeps of the process that writes it: its host, its number, and when it began."""
    return {"host": platform.node(), "pid": os.getpid(), "process_began": _ticks(os.getpid())}


def of(manifest: dict[str, Any]) -> tuple[str, str]:
    """(status, reason) of a run: ``killed`` where it says ``running`` and its process is certainly gone."""
    status, reason = manifest.get("status", ""), str(manifest.get("reason", ""))
    if status == "running" and _gone(manifest):
        return "killed", "its process ended without a word: kill -9, or the memory was used up"
    return status, reason


def sentence(manifest: dict[str, Any]) -> str:
    """The status with its reason, on one line: ``failed: no such thing``."""
    status, reason = of(manifest)
    return f"{status}: {reason.splitlines()[0]}" if reason else status


def _gone(manifest: dict[str, Any]) -> bool:
    """Says whether the process that wrote this is certainly not there any more; of another machine nothing is known."""
    pid = manifest.get("pid")
    if manifest.get("host") != platform.node() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    if manifest.get("process_began"):  # no clock that somebody may set
        return manifest["process_began"] != _ticks(pid)
    return manifest.get("started_unix", math.inf) + SLACK < _began(pid)


def _ticks(pid: int) -> int:
    """The time at which a process began, in ticks since the machine did; 0 where /proc does not say it."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _began(pid: int) -> float:
    """The time at which a process began, in seconds since the epoch: after a restart its number may be another
    process's.

    0 where /proc does not say it, or says a time to come (a container that shows its own clock).
    """
    try:
        up = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0
    ticks = _ticks(pid)
    age = up - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age if ticks and age >= 0 else 0.0
