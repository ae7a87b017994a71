"""Tells whether two runs were made with the same code of this project, whatever their commits are called."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rlexp.git import git
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import PATCH

CODE = "src"
"""The folder by which commits are compared: everything else of the project that a run reads is in its lock by hash."""


def same_code(a: FinishedRun, b: FinishedRun, root: Path) -> bool | None:
    """Says whether src/ was the same in both runs, commit and uncommitted changes together; None where git cannot tell.

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
    objects = git(root, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    if not sha or not objects:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        places = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects.strip(),
        }
        if git(root, "read-tree", sha, **places) is None:
            return None
        if patch.is_file() and git(root, "apply", "--cached", str(patch.resolve()), **places) is None:
            return None
        return git(root, "ls-files", "--stage", "--", CODE, **places)
