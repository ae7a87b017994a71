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
