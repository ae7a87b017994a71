"""Where a packed run and its data go in a project: never over what is there, and nowhere else than a run lies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from rlexp.errors import RunError
from rlexp.files import lies_inside
from rlexp.inputs.digest import folder_md5
from rlexp.inputs.locked import BESIDE
from rlexp.record.finished import FOLDERS
from rlexp.record.packed import DATA

AGAIN = "have it packed and sent again; nothing was put in place"


def bad(file: Path, what: str) -> RunError:
    """The message for a file that cannot be unpacked."""
    return RunError(f"{file.name} cannot be unpacked: {what}", where=str(file), hint=AGAIN)


def of_input(one: dict[str, Any], root: Path) -> Path:
    """Where an input goes: as the lock says; beside what lies there, where that is another.

    Raises:
        RunError: that leads out of the project.
    """
    named = root / one["path"]
    beside = named.parent / BESIDE / one["md5"].removesuffix(".dir")
    place = beside if named.exists() and folder_md5(named) != one["md5"] else named
    if not lies_inside(place, root):
        hint = f"make {DATA} a folder of the project, and type the same again"
        raise RunError(f"{one['path']} leads out of the project", where=str(place), hint=hint)
    if place.is_dir() and folder_md5(place) != one["md5"]:  # a copy that is not whole
        shutil.rmtree(place)
    return place


def default(place: str) -> str:
    """The folder of a run as it was; a point of a sweep becomes a run alone, since its sweep is not packed."""
    first, *rest = PurePosixPath(place).parts
    if first == FOLDERS[0] and rest:
        return place
    return f"{FOLDERS[0]}/{'_'.join(rest) or first}"


def require_free(target: Path, root: Path, to: str | None) -> None:
    """Checks whether a run may go to a folder.

    Args:
        to: it, as it was typed.

    Raises:
        RunError: something lies there, or no run does.
    """
    shown = os.path.relpath(target, root)
    where = f"--to {to}" if to else shown
    parts = Path(shown).parts
    if parts[0] not in FOLDERS or len(parts) < 2 or not lies_inside(target, root):
        raise RunError(f"{shown} is no place of a run", where=where, hint=f"type --to {FOLDERS[0]}/NAME")
    if os.path.lexists(target):
        hint = f"type --to {shown}_2, or another name"
        raise RunError(f"{shown} is there already, and nothing is written over", where=where, hint=hint)


def require_room(index: dict[str, Any], target: Path, file: Path) -> None:
    """Checks whether the disk has room for all that an index names.

    Raises:
        RunError: it has not.
    """
    needed = sum(one["size"] for one in index["files"].values())
    there = next(folder for folder in target.parents if folder.is_dir())
    if needed > (free := shutil.disk_usage(there).free):
        hint = "make room on that disk, and type the same again"
        raise RunError(f"{file.name} holds {needed} bytes, and {free} are free", where=str(there), hint=hint)
