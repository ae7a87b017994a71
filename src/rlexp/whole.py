"""Is a checkpoint, or a folder of weights, whole? A checkpoint has a digest of its files, which is read first."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rlexp import shapes
from rlexp.errors import RunError
from rlexp.shapes import COUNT, INSIDE, SHA256, mapping, record

CHECKPOINTS = "checkpoints"
"""The folder of a run that the trainer writes its checkpoints to."""
CONFIGS = ("adapter_config.json", "config.json")
STATE = "trainer_state.json"
"""The file of transformers' Trainer with the step, the logged values and the state of the callbacks."""
NEEDED = (STATE, "optimizer.pt")
"""Files without which transformers would go on and begin anew in part, and say nothing."""
DIGEST = "digest.json"
FORMAT = 1
SCHEMA = record(
    {"format": {"const": FORMAT}, "step": COUNT, "files": mapping(record({"sha256": SHA256, "size": COUNT}), INSIDE)}
)
"""The shape of a digest."""


def of(run_dir: Path) -> dict[int, Path]:
    """Step -> folder of every checkpoint, whole or not, in order."""
    found = [path for path in (run_dir / CHECKPOINTS).glob("checkpoint-*") if path.name[11:].isdecimal()]
    return dict(sorted((int(path.name[11:]), path) for path in found))


def fault(folder: Path, goes_on: bool = False) -> str | None:
    """Why a checkpoint, or a folder of weights, cannot be loaded; None for a whole one.

    Args:
        goes_on: training is to go on from it, so every file is read and held against the digest; else the weights are,
            of the others the size, and a checkpoint without a digest is looked at by what its files announce.
    """
    if os.path.lexists(folder / DIGEST):
        return _differs(folder, goes_on)
    if goes_on:
        return f"it has no {DIGEST}: it is not whole, or an earlier version of rlexp wrote it"
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        return "it holds no weights"
    if not any((folder / name).is_file() for name in CONFIGS):
        return f"it holds no {' or '.join(CONFIGS)}"
    for path in weights:
        if not _whole(path):
            return f"{path.name} is not whole"
    if folder.parent.name == CHECKPOINTS and not _json(folder / STATE):
        return f"it holds no whole {STATE}"
    return None


def _differs(folder: Path, every_byte: bool) -> str | None:
    """How a checkpoint differs from its digest; None where it does not."""
    try:
        digest = shapes.read_json(folder / DIGEST, SCHEMA, "digest")
    except RunError:
        digest = None
    if digest is None:
        return f"its {DIGEST} is not whole"
    if folder.name != f"checkpoint-{digest['step']}":
        return f"its {DIGEST} is that of step {digest['step']}"
    named = digest["files"]
    if every_byte and (lacking := [name for name in NEEDED if name not in named]):
        return f"it was written without {lacking[0]}"
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    there |= {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_symlink()}
    for name in sorted({*named, *there} - {DIGEST}):
        if name not in there:
            return f"{name} is missing"
        if name not in named:
            return f"{name} is not in its {DIGEST}"
        if there[name].is_symlink() or not there[name].is_file():
            return f"{name} is no file"
        if there[name].stat().st_size != named[name]["size"]:
            return f"{name} is not whole"
    read = [name for name in sorted(named) if every_byte or name.endswith(".safetensors")]
    with ThreadPoolExecutor(min(len(read), os.cpu_count() or 1) or 1) as pool:
        same = pool.map(lambda name: sha256(there[name]) == named[name]["sha256"], read)
        changed = [name for name, kept in zip(read, same, strict=True) if not kept]
    return f"{changed[0]} is not what was written" if changed else None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _whole(path: Path) -> bool:
    """Says whether a safetensors file has the bytes that its head announces."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            head: Any = json.loads(stream.read(length)) if 0 < length < 2**27 else None
        ends = [item["data_offsets"][1] for name, item in head.items() if name != "__metadata__"]
        return path.stat().st_size == 8 + length + max(ends, default=0)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text()), dict)
    except (OSError, ValueError):
        return False
