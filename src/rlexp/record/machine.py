"""Facts about the machine and the code a run was made with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Operating system, processor, memory in GiB and GPUs; asked of torch only where it is loaded already."""
    facts: dict[str, Any] = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["torch_threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            facts["gpus"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
            facts["cuda"] = torch.version.cuda
    return facts


def git(root: Path) -> tuple[dict[str, Any], str]:
    """(commit and whether the tree differs from it, the difference as a patch) of the project folder.

    Both are empty outside a git repository.
    """
    sha = _git(root, "rev-parse", "HEAD")
    if not sha:
        return {}, ""
    patch = _git(root, "diff", "HEAD", "--binary")
    untracked = _git(root, "ls-files", "--others", "--exclude-standard").split()
    return {"sha": sha.strip(), "dirty": bool(patch or untracked), "untracked": untracked[:50]}, patch


def _git(root: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
