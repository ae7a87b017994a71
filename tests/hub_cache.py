"""A cache of huggingface_hub as it lies on a disk, made by a test: what the hub would have left there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

COMMIT, NEXT = "a" * 40, "b" * 40


def add(
    cache: Path, kind: str, hub_id: str, files: Mapping[str, bytes], commit: str = COMMIT, ref: str = "main"
) -> Path:
    """Puts a commit of a model or data set into a cache, and answers its folder.

    Args:
        kind: ``model`` or ``dataset``.
        files: path in the repository -> content.
        ref: the branch that is this commit.
    """
    repo = cache / f"{kind}s--{hub_id.replace('/', '--')}"
    for name in ("refs", "blobs", f"snapshots/{commit}"):
        (repo / name).mkdir(parents=True, exist_ok=True)
    (repo / "refs" / ref).write_text(commit)
    folder = repo / "snapshots" / commit
    for name, content in files.items():
        blob = repo / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(os.path.relpath(blob, (folder / name).parent))
    return folder


def add_folder(cache: Path, hub_id: str, model: Path, **more: str) -> Path:
    """Puts a model's folder into a cache as a model of the hub."""
    files = {path.name: path.read_bytes() for path in model.iterdir() if path.is_file()}
    return add(cache, "model", hub_id, files, **more)
