"""The checkpoints of a run, whole or absent: written beside their place with a digest of every file, then renamed.

A trainer that is killed, or whose disk is full, leaves none rather than half of one. The digest is read before anything
else of a checkpoint is: a file that is cut, changed, missing or not named there makes it one that is passed over.
Checkpoints of versions without digests can be looked at, but no training goes on from one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp import shapes
from rlexp.errors import RunError
from rlexp.record.run_folder import CHECKPOINTS
from rlexp.shapes import COUNT, INSIDE, SHA256, mapping, record

CONFIGS = ("adapter_config.json", "config.json")
STATE = "trainer_state.json"
"""The file of transformers' Trainer with the step, the logged values and the state of the callbacks."""
NEEDED = (STATE, "optimizer.pt")
"""Files without which transformers would go on and begin anew in part, and say nothing."""
DIGEST = "digest.json"
PARTIAL = ".partial-"
"""How the names begin of what is being written, or removed."""
FORMAT = 1
SCHEMA = record(
    {"format": {"const": FORMAT}, "step": COUNT, "files": mapping(record({"sha256": SHA256, "size": COUNT}), INSIDE)}
)
"""The shape of a digest."""


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint that training can go on from."""

    step: int
    """Optimizer steps that were trained."""
    folder: Path


def last_whole(run_dir: Path) -> tuple[Checkpoint | None, dict[str, str]]:
    """The newest checkpoint that training can go on from, None where there is none, and name -> why of the newer ones
    that were passed over."""
    skipped: dict[str, str] = {}
    for step, folder in reversed(of(run_dir).items()):
        why = fault(folder, goes_on=True)
        if why is None:
            return Checkpoint(step, folder), skipped
        skipped[folder.name] = why
    return None, skipped


def require(checkpoint: Checkpoint) -> None:
    """Checks every byte of a checkpoint, before anything of it is loaded.

    Raises:
        RunError: it is not whole.
    """
    if why := fault(checkpoint.folder, goes_on=True):
        raise RunError(
            f"training cannot go on from the checkpoint of step {checkpoint.step}: {why}",
            where=str(checkpoint.folder),
            hint="name another one, or start the run anew",
        )


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
        return f"it has no {DIGEST}: an earlier version of rlexp wrote it"
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


@contextlib.contextmanager
def written(run_dir: Path, step: int) -> Iterator[Path]:
    """A checkpoint that appears when the block ends, its bytes on the disk, and does not after an error.

    Yields:
        The folder to write it into, as ``checkpoint-<step>``.
    """
    home = run_dir / CHECKPOINTS
    name, partial = f"checkpoint-{step}", _partial(home)
    partial.mkdir(parents=True)
    try:
        yield partial
        seal(partial / name, step)
        if (home / name).exists():  # saved once more: by a signal that came meanwhile
            (home / name).rename(partial / "before")
        (partial / name).rename(home / name)
        _sync(home)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def seal(folder: Path, step: int) -> None:
    """Writes the digest of a checkpoint, gives its files the rights that new files of this process have, and waits for
    the disk."""
    rights = 0o666 & folder.stat().st_mode  # a folder is made with all rights but those of the umask
    paths = sorted(path for path in folder.rglob("*") if path.is_file())

    def described(path: Path) -> tuple[str, dict[str, Any]]:
        path.chmod(rights)
        with path.open("rb") as stream:
            os.fdatasync(stream.fileno())
        return path.relative_to(folder).as_posix(), {"sha256": _sha256(path), "size": path.stat().st_size}

    with ThreadPoolExecutor(len(paths) or 1) as pool:  # the disk takes them together
        files = dict(pool.map(described, paths))
    with (folder / DIGEST).open("w") as stream:
        json.dump({"format": FORMAT, "step": step, "files": files}, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    for part in {path.parent for path in paths} | {folder}:
        _sync(part)


def newest(steps: list[int], limit: int | None) -> set[int]:
    """The ring for recovery: the last so many steps (``method.save_total_limit``), at least one; None or 0 for all."""
    return set(sorted(steps)[-limit:] if limit and limit > 0 else steps)


def keep(run_dir: Path, steps: set[int]) -> None:
    """Removes the checkpoints of all other steps, each in one step of the file system."""
    for step, folder in of(run_dir).items():
        if step not in steps:
            _remove(folder)


def remove_broken(run_dir: Path) -> list[str]:
    """Removes what a full disk or a kill left of a checkpoint; answers the names."""
    for left in (run_dir / CHECKPOINTS).glob(f"{PARTIAL}*"):
        shutil.rmtree(left, ignore_errors=True)
    broken = [folder for folder in of(run_dir).values() if fault(folder)]
    for folder in broken:
        _remove(folder)
    return [folder.name for folder in broken]


def size(folder: Path) -> int:
    """Bytes of a checkpoint's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


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
        same = pool.map(lambda name: _sha256(there[name]) == named[name]["sha256"], read)
        changed = [name for name, kept in zip(read, same, strict=True) if not kept]
    return f"{changed[0]} is not what was written" if changed else None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _partial(home: Path) -> Path:
    return home / f"{PARTIAL}{os.getpid()}-{secrets.token_hex(3)}"


def _remove(folder: Path) -> None:
    gone = _partial(folder.parent)
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Has the names in a folder on the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


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
