"""Facts about the machine and the code a run was made with."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from rlexp.git import git

LARGE = 2**20
"""Bytes from which an untracked file is only named, not kept in the patch."""


def machine() -> dict[str, Any]:
    """The machine, as far as a trajectory depends on it bit by bit; torch is asked only where it is loaded already.

    Returns:
        ``platform``, ``python``, ``processor`` (its model name) and ``cpus``; with torch also ``instructions`` (the
        vector instructions it uses), ``threads``, and on a GPU machine ``gpus`` and ``cuda``.
    """
    facts: dict[str, Any] = {
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "processor": processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["instructions"] = torch.backends.cpu.get_cpu_capability()
        facts["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            facts["gpus"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
            facts["cuda"] = torch.version.cuda
    return facts


def processor() -> str:
    """The processor's model name; where /proc does not say it, what ``platform`` knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def commit_and_patch(root: Path) -> tuple[dict[str, Any], str]:
    """(commit and whether the tree differs from it, the difference as a patch) of the project folder.

    The patch holds new files too, up to LARGE bytes each. Both are empty outside a git repository.
    """
    sha = git(root, "rev-parse", "HEAD")
    if not sha:
        return {}, ""
    untracked = [
        name for name in (git(root, "ls-files", "--others", "--exclude-standard", "-z") or "").split("\0") if name
    ]
    small = [name for name in untracked if (root / name).is_file() and (root / name).stat().st_size < LARGE]
    with tempfile.TemporaryDirectory() as scratch:
        # A copy of the index, in which new files are announced: the user's own staging is left alone.
        index = Path(scratch) / "index"
        with contextlib.suppress(OSError):
            shutil.copyfile(
                (git(root, "rev-parse", "--path-format=absolute", "--git-path", "index") or "").strip(), index
            )
        copied = {"GIT_INDEX_FILE": str(index)} if index.is_file() else {}
        if small and copied:
            git(root, "add", "--intent-to-add", "--", *small, **copied)
        patch = git(root, "diff", "HEAD", "--binary", **copied) or ""
    return {"sha": sha.strip(), "dirty": bool(patch or untracked), "untracked": untracked[:50]}, patch
