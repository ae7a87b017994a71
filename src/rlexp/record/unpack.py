"""``unpack``: puts a packed run into a project. A pack is data from a stranger: all of it is held against its index,
its lock and their shapes beside its place first, and nothing of it is run.

Data goes where the lock says, or beside what lies there, by its hash; only below ``data/``. The code in it stays
untrusted: what would run it asks (``inputs.trust``).
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rlexp.errors import RunError
from rlexp.files import whole_folder
from rlexp.record import packed, unpack_places
from rlexp.record.packed import INDEX, INPUTS, LARGEST, RUN
from rlexp.record.run_folder import read_manifest
from rlexp.record.unpack_places import AGAIN

KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OverflowError)


@dataclass(frozen=True)
class Unpacked:
    """A run that was put in place."""

    run_dir: Path
    inputs: dict[str, Path]
    """Input -> the folder that holds it."""


def unpack(file: Path, root: Path, to: str | None = None) -> Unpacked:
    """Puts a packed run into a project: all of it, or nothing.

    Args:
        file: that ``pack`` wrote, or a stranger.
        root: the project folder.
        to: the new run folder, from the project folder; None for where it lay in its own project.

    Raises:
        RunError: the file is no pack, is damaged or was changed, holds what no run has, or the place is taken.
    """
    with _opened(file) as archive:
        index = _index(archive, file)
        target = root / (to or unpack_places.default(index["place"]))
        unpack_places.require_free(target, root, to)
        unpack_places.require_room(index, target, file)
        placed: list[Path] = []
        with contextlib.ExitStack() as stack:
            stack.push(lambda kind, error, trace: _take_back(placed) if kind else None)
            folder = stack.enter_context(whole_folder(target))
            _extract(archive, index, RUN, folder, file)
            with _of(file):
                locked = packed.require_run(folder, read_manifest(folder), index)
            found = {}
            for key, one in index["inputs"].items():
                place = unpack_places.of_input(one, root)
                found[key] = place
                if place.is_dir():
                    continue
                made = stack.enter_context(_new_folder(place, placed))
                _extract(archive, index, f"{INPUTS}/{one['md5']}", made, file)
                with _of(file):
                    packed.require_input(made, key, one, locked, file)
    return Unpacked(target, found)


@contextlib.contextmanager
def _new_folder(place: Path, placed: list[Path]) -> Iterator[Path]:
    with whole_folder(place) as partial:
        yield partial
    placed.append(place)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    if file.is_dir():
        what = f"{file.name} is a folder, and unpack takes the one file that pack wrote"
        raise RunError(what, where=str(file), hint="name that file, such as run.zip")
    if not file.is_file():
        raise RunError(f"there is no file {file.name}", where=str(file), hint="name a file that pack wrote")
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except BROKEN as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"{file.name} is no whole archive: {said}", where=str(file), hint=AGAIN) from error


def _index(archive: zipfile.ZipFile, file: Path) -> dict[str, Any]:
    """The index, held against its shape and against the names in the archive."""
    entries = {one.filename: one for one in archive.infolist()}
    if INDEX not in entries:
        raise RunError(f"{file.name} is no pack of a run: it has no {INDEX}", where=str(file), hint=AGAIN)
    with archive.open(entries[INDEX]) as stream:
        text = stream.read(LARGEST + 1)
    if len(archive.infolist()) != len(entries):
        raise unpack_places.bad(file, "a name stands twice in it")
    for name, entry in entries.items():
        if entry.compress_type not in KINDS or entry.is_dir() or entry.flag_bits & 1:
            raise unpack_places.bad(file, f"{name!r:.80} is no plain file in it")
    with _of(file):
        return packed.read_index(text, entries, file)


def _extract(archive: zipfile.ZipFile, index: dict[str, Any], below: str, folder: Path, file: Path) -> None:
    """Writes the files below a folder of the archive, each held against its size and hash."""
    for name, told in index["files"].items():
        if not name.startswith(f"{below}/"):
            continue
        path = folder / name.removeprefix(f"{below}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as stream, path.open("xb") as written:
            size, digest = _copy(stream, written, told["size"])
        if (size, digest) != (told["size"], told["sha256"]):
            raise unpack_places.bad(file, f"{name} is not what was packed")


def _copy(stream: IO[bytes], written: IO[bytes], most: int) -> tuple[int, str]:
    """(bytes, their hash) of what was copied, which is at most one byte more than it should be."""
    digest, size = hashlib.sha256(), 0
    while size <= most and (part := stream.read(min(2**20, most + 1 - size))):
        written.write(part)
        digest.update(part)
        size += len(part)
    return size, digest.hexdigest()


def _take_back(placed: list[Path]) -> None:
    for folder in placed:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _of(file: Path) -> Iterator[None]:
    """Says what is wrong with a record as what is wrong with its pack: the record lies nowhere yet."""
    try:
        yield
    except RunError as error:
        raise unpack_places.bad(file, error.what) from error
