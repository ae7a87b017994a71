"""Content hashes of what a run consumes, computed the way DVC computes them.

Sources: ``dvc_data.hashfile.hash`` (a file: md5 of its bytes) and ``dvc_data.hashfile.tree`` (a folder: md5 of
the JSON list of its files, with ``.dir`` behind it), so that a hash in our lock is the hash in ``dvc.lock``.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

IGNORED_PARTS = {"__pycache__", ".DS_Store"}
REMEMBERED = 2**20
"""Bytes from which a file's hash is remembered; smaller files are read again every time."""
BLOCK = 2**24
"""Bytes that are hashed at once. The interpreter is free meanwhile, and waited for after each: large enough that a
process that imports beside it costs nothing."""


def file_md5(path: Path) -> str:
    """Hex md5 of a file's bytes. A large file is read once, until its size, time of change or inode differ.

    Raises:
        OSError: the file cannot be read.
    """
    known = path.stat()
    if known.st_size < REMEMBERED:
        return _md5(path)
    key = json.dumps([str(path.resolve()), known.st_size, known.st_mtime_ns, known.st_ino])
    return remembered(key, lambda: _md5(path))


def remembered(key: str, make: Callable[[], Any]) -> Any:
    """The answer of ``make`` for this key (JSON): the remembered one of any process of this user, else a new one."""
    memory = _memory()
    found = memory.get(key) if memory is not None else None
    if found is None:
        found = make()
        if memory is not None:
            memory[key] = found
    return found


def _md5(path: Path) -> str:
    digest = hashlib.md5()
    with path.open("rb", buffering=0) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


@functools.cache
def _memory() -> Any:
    """The cache of this user, beside other caches; None where nothing can be written."""
    import diskcache
    import platformdirs

    try:
        return diskcache.Cache(Path(platformdirs.user_cache_dir("rlexp")) / "remembered", disk=diskcache.JSONDisk)
    except (OSError, sqlite3.Error):
        return None


def folder_files(folder: Path) -> list[Path]:
    """The files of a folder that count for its identity, sorted by their relative path; none where
    there is no folder."""
    return sorted(_files(folder))


def other_file(folder: Path, names: Collection[str]) -> str | None:
    """A file of a folder that is not among these names; it is looked through no further than the first one."""
    found = (path.relative_to(folder).as_posix() for path in _files(folder))
    return next((name for name in found if name not in names), None)


def _files(folder: Path) -> Iterator[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return (path for path in files if not IGNORED_PARTS & set(path.relative_to(folder).parts))


def folder_md5s(folder: Path, names: Collection[str] | None = None) -> dict[str, str]:
    """The hash of every file of a folder, by its relative path; several files are read at a time.

    Args:
        names: the only files that are read, where they are there; None for every one.
    """
    files = folder_files(folder) if names is None else [folder / name for name in names if (folder / name).is_file()]
    # Two a processor: while one is hashed another is read, so that the disk is what is waited for.
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        md5s = list(pool.map(file_md5, files))
    return {path.relative_to(folder).as_posix(): md5 for path, md5 in zip(files, md5s, strict=True)}


def folder_md5(folder: Path) -> str:
    """DVC's hash of a folder: ``<hex md5>.dir``."""
    return combined_md5(folder_md5s(folder))


def combined_md5(md5s: dict[str, str]) -> str:
    """DVC's hash of a folder whose files have these hashes."""
    entries = [{"md5": md5, "relpath": path} for path, md5 in sorted(md5s.items())]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def json_sha256(value: Any) -> str:
    """Hex sha256 of a JSON value in canonical form (sorted keys, no spaces)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
