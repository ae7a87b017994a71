"""Finds run folders: every one there is, or the one a person typed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.errors import RunError, nearest
from rlexp.record.lock import read_lock
from rlexp.record.record import LOCK, MANIFEST, METRICS, read_manifest

FOLDERS = ("outputs", "multirun")
"""Where Hydra puts single runs and sweeps (conf/config.yaml)."""
CHECKPOINTS = "checkpoints"
"""The folder of a run that the trainer writes its checkpoints to."""


@dataclass(frozen=True)
class Recorded:
    """A run that was locked, as its folder tells it."""

    folder: Path
    lock: dict[str, Any]
    manifest: dict[str, Any]
    """Empty where a lock stands alone."""


def run_folders(root: Path) -> list[Path]:
    """Every folder below outputs/ and multirun/ that holds a manifest, oldest name first."""
    return sorted(path.parent for name in FOLDERS for path in (root / name).rglob(MANIFEST))


def find(typed: str, here: Path, root: Path) -> Recorded:
    """The run that ``typed`` names: a run folder, its lock file, or ``pinned``.

    Args:
        typed: a path, from the folder the command was typed in or from the project folder.
        here: the folder the command was typed in.
        root: the project folder.

    Raises:
        RunError: there is no run, it holds no lock, or the lock cannot be read or was changed after it was written.
    """
    for path in (here / typed, root / typed):
        folder = path.parent if path.is_file() else path
        file = path if path.is_file() else path / LOCK
        if file.is_file():
            return Recorded(folder, read_lock(file), read_manifest(folder) or {})
    known = [path.relative_to(root).as_posix() for path in run_folders(root)]
    guess = nearest(typed, known)
    if (root / typed / MANIFEST).is_file() or (here / typed / MANIFEST).is_file():
        raise RunError(f"the run {typed} ended before it was locked", where=typed, hint=f"its {MANIFEST} says why")
    if not guess and known:
        guess = known[-1]
    raise RunError(
        f"there is no run at {typed} (no {LOCK})",
        where=typed,
        hint=f"did you mean {guess}? python -m rlexp runs lists them" if guess else "train one first: python -m rlexp",
    )


def metrics(folder: Path) -> list[str]:
    """The lines of a run's metrics.jsonl; none where there is no such file."""
    path = folder / METRICS
    return path.read_text().splitlines() if path.is_file() else []


def weights(folder: Path, checkpoint: int | None = None) -> Path:
    """Where the trained weights of a run lie: what it left at its end, else its latest checkpoint.

    Args:
        folder: the run folder.
        checkpoint: the step of a checkpoint instead.

    Raises:
        RunError: there are none.
    """
    found = {int(path.name.rpartition("-")[2]): path for path in (folder / CHECKPOINTS).glob("checkpoint-*")}
    if checkpoint in found:
        return found[checkpoint]
    if checkpoint is not None:
        near = min(found, key=lambda step: abs(step - checkpoint), default=None)
        raise RunError(
            f"the run has no checkpoint of step {checkpoint}",
            where=f"checkpoint={checkpoint}",
            hint=f"type checkpoint={near}" if near else "it kept none (method.save_steps); leave checkpoint= out",
        )
    for name in ("adapter", "model"):
        if (folder / name).is_dir():
            return folder / name
    if found:
        return found[max(found)]
    raise RunError(
        "the run left no weights: neither an adapter nor a checkpoint",
        where=str(folder),
        hint=f"its {MANIFEST} says how it ended; step=last shows what it sampled while it trained",
    )
