"""A run folder belongs to one run: it is claimed in one step of the file system, before anything is written into it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlexp.errors import RunError
from rlexp.files import disk_fault
from rlexp.record import status

MANIFEST = "manifest.json"
CLAIMS, WRITTEN_S = ".going_on", 60
"""The folder of the claims on a run that goes on, and the seconds within which one is written."""
SWEEP = "multirun.yaml"
"""The file of a sweep that Hydra writes first."""
_claimed: dict[Path, list[Path]] = {}
"""Folders that this process claimed and no record has taken over yet -> those made for it, the innermost first."""


def claim(folder: Path, mark: str, shown: str, key: str = "hydra.run.dir") -> None:
    """Makes a folder this process's own: it must be new, or empty.

    Args:
        mark: the file that stands for the claim, and is overwritten later; only one process can make it.
        shown: the folder in messages.
        key: what names the folder, for the message.

    Raises:
        RunError: it holds something, another run claims it, or it cannot be made.
    """
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        found = [path for path in folder.iterdir() if path.name != mark]
        if not found:
            with (folder / mark).open("x") as stream:
                stream.write(_note())
            _claimed[folder.resolve()] = made
            return
    except FileExistsError as error:
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{shown} is a file", where=f"{key}={shown}", hint=_another(shown, key)) from error
    except OSError as error:
        fault = disk_fault(error)
        what = f"the run folder {shown} cannot be made: {error.strerror}"
        hint = f"{fault.hint}; or type {key}=FOLDER with one that can be written" if fault else _another(shown, key)
        raise RunError(what, where=f"{key}={shown}", hint=hint) from error
    raise RunError(_holds(folder, shown), where=f"{key}={shown}", hint=_another(shown, key))


def require_free(folder: Path, mark: str, shown: str, key: str) -> None:
    """Refuses a folder that ``claim`` would find taken, and makes nothing.

    Raises:
        RunError: it holds something, is a file, or lies below one.
    """
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if above is not folder and not above.is_dir():
        what = f"the run folder {shown} cannot be made: {above.name} is a file"
        raise RunError(what, where=f"{key}={shown}", hint=_another(shown, key))
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{shown} is a file", where=f"{key}={shown}", hint=_another(shown, key))
    with contextlib.suppress(PermissionError):
        if folder.exists() and (any(path.name != mark for path in folder.iterdir()) or (folder / mark).exists()):
            raise RunError(_holds(folder, shown), where=f"{key}={shown}", hint=_another(shown, key))


@contextlib.contextmanager
def held(folder: Path, mark: str, shown: str, key: str) -> Iterator[None]:
    """Claims a folder (``claim``) while the block lasts; a claim that nobody took over is given back."""
    claim(folder, mark, shown, key)
    try:
        yield
    finally:
        give_back(folder, mark)


def claim_started(folder: Path) -> None:
    """Claims the folder of a run that is started already: what Hydra and a replay left in it may be there.

    Raises:
        RunError: another run has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (folder / MANIFEST).open("x") as stream:
            stream.write(_note())
    except FileExistsError as error:
        raise RunError(_holds(folder, str(folder)), hint=_another(folder.name, "hydra.run.dir")) from error


@contextlib.contextmanager
def going_on(folder: Path, shown: str, key: str = "resume") -> Iterator[None]:
    """Claims the folder of a run or a sweep that goes on, while the block lasts: of several processes that ask one gets
    it.

    Each claim is a file of its own, with the next number, that only one process can make; one whose process is gone
    stays, and counts no more.

    Raises:
        RunError: another process has it.
    """
    home = folder / CLAIMS
    try:
        home.mkdir(exist_ok=True)
        numbers = sorted(int(path.name) for path in home.iterdir() if path.name.isdecimal())
        for number in numbers:
            if (note := _read(home / str(number))) is None or status.of(note)[0] == "running":
                raise _other(shown, note or {}, key)
        mine = home / str(max(numbers, default=0) + 1)
        with mine.open("x") as stream:
            stream.write(_note())
    except FileExistsError as error:
        raise _other(shown, {}, key) from error
    except OSError as error:
        fault = disk_fault(error)
        hint = fault.hint if fault else "change the rights of that folder"
        raise RunError(f"{shown} cannot be written: {error.strerror}", where=shown, hint=hint) from error
    held = _claimed.get(folder.resolve())
    _claimed[folder.resolve()] = held or []
    try:
        yield
    finally:
        _claimed.pop(folder.resolve(), None)
        if held is not None:  # a claim around this one is given back by itself
            _claimed[folder.resolve()] = held
        with contextlib.suppress(OSError):
            mine.unlink()
            for number in numbers:
                (home / str(number)).unlink()
            home.rmdir()


def _read(file: Path) -> dict[str, Any] | None:
    """A claim; None for one that is being written."""
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        fresh = time.time() - file.stat().st_mtime < WRITTEN_S
        return None if fresh else {}
    return content if isinstance(content, dict) else {}


def _other(shown: str, note: dict[str, Any], key: str) -> RunError:
    process = f" (process {note['pid']} on {note['host']})" if {"pid", "host"} <= note.keys() else ""
    return RunError(
        f"another process goes on with {shown} at this moment{process}",
        where=f"{key}={shown}",
        hint="wait until it ends: python -m rlexp runs shows how it stands",
    )


def take_over(folder: Path) -> bool:
    """Says whether this process claimed a folder, once: its record is written there from now on."""
    return _claimed.pop(folder.resolve(), None) is not None


def hand_over(folder: Path) -> None:
    """Makes a claim of the command's process one of this process: its record takes it over."""
    _claimed[folder.resolve()] = []


def give_back(folder: Path, mark: str) -> None:
    """Takes a claim back that no record took over and Hydra did not write over; nothing else is touched."""
    made = _claimed.pop(folder.resolve(), None)
    if made is None:
        return
    with contextlib.suppress(OSError):
        if (folder / mark).read_text() == _note():
            (folder / mark).unlink()
            for path in made:
                path.rmdir()  # refuses where something else was put meanwhile


def _note() -> str:
    return json.dumps({"status": "running", **status.process()})


def _holds(folder: Path, shown: str) -> str:
    for name, kind in ((MANIFEST, "a run"), (SWEEP, "a sweep")):
        if (folder / name).is_file():
            return f"{shown} holds {kind} already{_how(folder / name)}; a run folder must be new"
    return f"{shown} is not empty; a run folder must be new"


def _how(manifest: Path) -> str:
    content: Any = None
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(manifest.read_text())
    return f" ({status.of(content)[0]})" if isinstance(content, dict) and content.get("status") else ""


def _another(shown: str, key: str) -> str:
    """What to type instead: a name that is free."""
    path = Path(shown)
    below_file = any(above.is_file() for above in path.parents)
    if len(path.parts) < 2 or path.is_absolute() or path.name == ".." or below_file:
        name = "mine" if path.name in ("", "..") else path.name
        path = Path("outputs" if key == "hydra.run.dir" else "multirun") / name
    free, number = path if below_file else path.with_name(f"{path.name}_2"), 2
    while os.path.lexists(free):
        free, number = path.with_name(f"{path.name}_{number}"), number + 1
    return f"type {key}={free}, or leave it out: every run then has a name of its own"
