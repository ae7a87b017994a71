"""Copies an export to where others take it from: a folder, an object store, the hub; through fsspec.

Source: https://filesystem-spec.readthedocs.io; ``hf://`` is huggingface_hub's own file system, ``s3://`` s3fs's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlexp.errors import RunError
from rlexp.record import exports
from rlexp.secrets import masked

DIR = "dir:"


def target(typed: str, root: Path) -> tuple[Any, str]:
    """(file system, path) of ``export.push``.

    Raises:
        RunError: it is no place, or what reaches it is not installed.
    """
    import fsspec

    where = f"export.push={masked(typed)}"
    hint = "type export.push=dir:FOLDER, s3://BUCKET/FOLDER or hf://ORG/NAME"
    if typed.startswith(DIR):
        folder = Path(typed.removeprefix(DIR)).expanduser()
        if not typed.removeprefix(DIR):
            raise RunError("dir: names a folder", where, hint)
        return fsspec.filesystem("file"), str(folder if folder.is_absolute() else root / folder)
    if "://" not in typed:
        raise RunError(f"{masked(typed)} is no place that artifacts are copied to", where, hint)
    try:
        return fsspec.core.url_to_fs(typed)
    except ImportError as error:
        hint = "type pip install s3fs, or export.push=dir:FOLDER"
        raise RunError(f"what reaches it is not installed: {error}", where, hint) from error
    except ValueError as error:
        raise RunError(f"no file system is known by that name: {error}", where, hint) from error


def ready(typed: str, root: Path) -> None:
    """Sees that a place can be reached; a folder is made.

    Raises:
        RunError: as ``target``, or the folder cannot be made or written.
    """
    system, path = target(typed, root)
    if not typed.startswith(DIR):
        return
    try:
        system.makedirs(path, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        what = f"{path} cannot be written: {error.strerror or error}"
        raise RunError(
            what, f"export.push={masked(typed)}", "type export.push=dir:FOLDER with one that can be"
        ) from error


def sound(artifacts: Mapping[str, Any], say: Callable[[str], None]) -> list[str]:
    """The names of the artifacts that may be copied; a broken one is said.

    Args:
        artifacts: those of a manifest.
    """
    for name, one in artifacts.items():
        if one["verdict"] == "broken":
            say(f"{name} is broken, and is not copied")
    return [name for name, one in artifacts.items() if one["verdict"] != "broken"]


def push(folder: Path, names: Sequence[str], typed: str, root: Path, say: Callable[[str], None]) -> str:
    """Copies artifacts with the manifest and the card.

    Args:
        names: the artifacts (``sound``).

    Returns:
        Where they lie.

    Raises:
        RunError: the place cannot be reached or written.
    """
    system, path = target(typed, root)
    try:
        system.makedirs(path, exist_ok=True)
        for name in (*names, *(one for one in exports.BESIDE if (folder / one).exists())):
            say(f"copying {name} to {masked(typed)}")
            end = "/" if (folder / name).is_dir() else ""  # a folder's content, wherever there is one already
            system.put(f"{folder / name}{end}", f"{path}/{name}{end}", recursive=bool(end))
    except (OSError, ValueError) as error:
        what = f"it cannot be copied: {masked(str(error))}"
        hint = "look at the rights and the name of the place, and type the same again"
        raise RunError(what, f"export.push={masked(typed)}", hint) from error
    return path
