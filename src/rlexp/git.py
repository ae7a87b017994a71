"""Questions to git about the project folder; nothing here changes a repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PATIENCE_S = 30


def git(root: Path, *arguments: str, **environment: str) -> str | None:
    """The standard output of ``git -C root ARGUMENTS``; None where git is missing, refuses or does not answer in time.

    Args:
        environment: variables besides those of this process, such as GIT_INDEX_FILE.
    """
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, env={**os.environ, **environment}
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None
