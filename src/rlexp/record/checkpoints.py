"""The checkpoints of a run, whole or absent: written beside their place with a digest of every file, then renamed.

A trainer that is killed, or whose disk is full, leaves none rather than half of one. The digest is read before anything
else of a checkpoint is: a file that is cut, changed, missing or not named there makes it one that is passed over.
Checkpoints of versions without digests can be looked at, but no training goes on from one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.errors import RunError
from rlexp.whole import CHECKPOINTS, DIGEST, FORMAT, fault, sha256
from rlexp.whole import of as of

PARTIAL = ".partial-"
"""How the names begin of what is being written, or removed."""
TRAINER = "trainer_between_steps.pt"
"""The file with what rank 0 holds between two steps and transformers does not keep."""


def trainer_file(rank: int) -> str:
    """The file of a rank, as TRAINER."""
    return TRAINER if rank == 0 else TRAINER.replace(".pt", f"_{rank}.pt")


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


def devices(checkpoint: Checkpoint) -> int:
    """The devices that wrote a checkpoint; 0 of one that is refused as it is read."""
    return len(list(checkpoint.folder.glob(TRAINER.replace(".pt", "*.pt"))))


def require_devices(checkpoint: Checkpoint, wanted: int, iterations: int) -> None:
    """Checks whether another number of devices can go on from a checkpoint: not in the middle of a generation, of which
    each device that sampled it holds its part.

    Args:
        wanted: the devices that are to go on.
        iterations: the steps that are trained on one generation (``method.num_iterations``).

    Raises:
        RunError: it lies in the middle of one.
    """
    wrote, step = devices(checkpoint), checkpoint.step
    if wrote and wrote != wanted and step % iterations:
        raise RunError(
            f"{wrote} device(s) wrote the checkpoint of step {step}, and {wanted} go on from it: it lies in the middle "
            f"of a generation that {iterations} steps are trained on, and each device holds its part of that",
            where=f"hardware.devices={wanted}, method.num_iterations={iterations}",
            hint=f"type hardware.devices={wrote} (after a multiple of {iterations} steps any number goes on); or begin "
            "a new run from it, which samples anew: fork=RUN",
        )


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
        return path.relative_to(folder).as_posix(), {"sha256": sha256(path), "size": path.stat().st_size}

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
