"""Content hashes of what a run consumes, computed the way DVC computes them.

Sources: ``dvc_data.hashfile.hash`` (a file: md5 of its bytes) and ``dvc_data.hashfile.tree`` (a folder: md5 of
the JSON list of its files, with ``.dir`` behind it), so that a hash in our lock is the hash in ``dvc.lock``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

IGNORED_PARTS = {"__pycache__", ".DS_Store"}


def file_md5(path: Path) -> str:
    """Hex md5 of a file's bytes. Raises ``OSError`` where the file cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def folder_files(folder: Path) -> list[Path]:
    """The files of a folder that count for its identity, sorted by their relative path; none where
    there is no folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if not IGNORED_PARTS & set(path.relative_to(folder).parts))


def folder_md5s(folder: Path) -> dict[str, str]:
    """The hash of every file of a folder, by its relative path."""
    return {path.relative_to(folder).as_posix(): file_md5(path) for path in folder_files(folder)}


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
