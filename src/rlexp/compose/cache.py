"""Where a command keeps the kernels that its runs compile: ``cache.dir`` and its bound, handed to this process and to
those that it starts by two variables of the environment, as the libraries are told (``backend.compile_cache``)."""

from __future__ import annotations

import os
from pathlib import Path

from rlexp.compose.schema import Cache
from rlexp.errors import RunError

FOLDER, BOUND = "RLEXP_CACHE_DIR", "RLEXP_CACHE_MAX_GIB"
"""The variables: the folder, and the most GiB that it holds."""


def begin(cache: Cache, root: Path) -> None:
    """Takes over where the command keeps them. What is not typed leaves the variable as it is.

    Args:
        root: the project folder, in which a relative one lies.

    Raises:
        RunError: it is no folder, or cannot be made or written.
    """
    if cache.dir is not None:
        folder = (root / Path(cache.dir).expanduser()).resolve()
        _require_folder(folder, cache.dir)
        os.environ[FOLDER] = str(folder)
    if cache.max_gib is not None:
        os.environ[BOUND] = str(cache.max_gib)


def _require_folder(folder: Path, typed: str) -> None:
    where = f"cache.dir={typed}"
    if not typed.strip():
        raise RunError("the cache has no name", where=where, hint="type cache.dir=FOLDER, or leave it out")
    there = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        what = "a file, and no folder" if there == folder else f"below {there}, which is no folder"
        raise RunError(f"the cache would be {what}", where=where, hint="type cache.dir=FOLDER, one that may be made")
    if not os.access(there, os.W_OK | os.X_OK):
        at = "it" if there == folder else f"{there}, in which it would be made,"
        hint = "type cache.dir=FOLDER, one that this user may write, or leave it out"
        raise RunError(f"{at} cannot be written by this user", where=where, hint=hint)
