"""The checkpoints of a run: which of them are whole. A trainer that is killed, or whose disk is full, leaves half of
one."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from rlexp.record.run_folder import CHECKPOINTS

CONFIGS = ("adapter_config.json", "config.json")
STATE = "trainer_state.json"
"""The file of a checkpoint that transformers' Trainer writes last of those that every one has."""


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint that training can go on from."""

    step: int
    """Optimizer steps that were trained."""
    folder: Path


def last_whole(run_dir: Path) -> tuple[Checkpoint | None, dict[str, str]]:
    """The newest whole checkpoint of a run, None where there is none, and name -> why of the newer ones skipped."""
    skipped: dict[str, str] = {}
    for step, folder in reversed(of(run_dir).items()):
        why = fault(folder)
        if why is None:
            return Checkpoint(step, folder), skipped
        skipped[folder.name] = why
    return None, skipped


def of(run_dir: Path) -> dict[int, Path]:
    """Step -> folder of every checkpoint, whole or not, in order."""
    found = [path for path in (run_dir / CHECKPOINTS).glob("checkpoint-*") if path.name[11:].isdigit()]
    return dict(sorted((int(path.name[11:]), path) for path in found))


def fault(folder: Path) -> str | None:
    """Why a checkpoint, or a folder of weights, cannot be loaded; None for a whole one. The weights are not read."""
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


def remove_broken(run_dir: Path) -> list[str]:
    """Removes what a full disk left of a checkpoint; answers the names."""
    broken = [folder for folder in of(run_dir).values() if fault(folder)]
    for folder in broken:
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in broken]


def _whole(path: Path) -> bool:
    """Says whether a safetensors file has the bytes that its head announces."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 0 < length < 2**27:
                return False
            head = json.loads(stream.read(length))
        ends = [item["data_offsets"][1] for name, item in head.items() if name != "__metadata__"]
        return path.stat().st_size == 8 + length + max(ends, default=0)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text()), dict)
    except (OSError, ValueError):
        return False
