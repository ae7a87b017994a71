"""Whether two runs were made with the same code of this project, whatever their commits are called."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import PATCH

CODE = "src"
"""What the commits are compared by: everything else of the project that a run reads is in its lock by hash."""


def same_code(a: FinishedRun, b: FinishedRun, root: Path) -> bool | None:
    """Whether src/ was the same in both runs, commit and uncommitted changes together; None where git cannot tell.

    So the run before a commit and the one after it have the same code, and a commit that only touches rewards/ or
    conf/ is no difference besides the one the lock shows.
    """
    one, two = source(a, root), source(b, root)
    return None if one is None or two is None else one == two


def source(run: FinishedRun, root: Path) -> str | None:
    """The files of src/ by git's hashes, as the run had them; None where its commit is not known here.

    The patch is applied to a scratch index, with a scratch folder for what it makes: the repository stays as it is.
    """
    sha, patch = (run.manifest.get("git") or {}).get("sha"), run.run_dir / PATCH
    objects = _git(root, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    if not sha or not objects:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        places = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects.strip(),
        }
        if _git(root, "read-tree", sha, **places) is None:
            return None
        if patch.is_file() and _git(root, "apply", "--cached", str(patch.resolve()), **places) is None:
            return None
        return _git(root, "ls-files", "--stage", "--", CODE, **places)


def _git(root: Path, *arguments: str, **environment: str) -> str | None:
    """What git said; None where it failed, which ``machine`` need not tell from silence."""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, env={**os.environ, **environment})
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None
