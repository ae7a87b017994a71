"""Files and folders that appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from rlexp.errors import RunError
from rlexp.secrets import masked


def write_text(path: Path, text: str) -> None:
    """Writes a file, secrets masked; the old one stands until the new one is whole, and nothing else is left where it
    cannot be."""
    with whole_file(path) as partial:
        partial.write_text(masked(text))


def append_text(path: Path, text: str) -> None:
    """Adds to the end of a file, secrets masked."""
    with path.open("a") as stream:
        stream.write(masked(text))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file that appears when the block ends, in the place of an old one, and does not after an error.

    Yields:
        The path to write to.
    """
    partial = _beside(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def append(path: Path, line: str) -> None:
    """Appends a line to a file, whole or not at all."""
    before = path.stat().st_size if path.is_file() else 0
    try:
        with path.open("a") as stream:
            stream.write(line + "\n")
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(path, before)
        raise


@contextlib.contextmanager
def whole_folder(folder: Path, replace: bool = False, first_wins: bool = False) -> Iterator[Path]:
    """A folder that appears when the block ends, and does not after an error.

    Args:
        replace: the folder may be there already; the old one stands until the new one is whole.
        first_wins: another process may make the same meanwhile: its folder stays, and this one is dropped.

    Yields:
        An empty folder beside it, to write into.

    Raises:
        OSError: ``folder`` is there, is not empty, and may not be replaced.
    """
    partial = _beside(folder)
    partial.mkdir(parents=True)
    try:
        yield partial
        if replace:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            partial.rename(folder)
        except OSError as error:
            if not (first_wins and error.errno in (errno.ENOTEMPTY, errno.EEXIST)):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


DISK_FAULTS = {
    errno.EROFS: "copy the project to a place that can be written, or mount its disk so",
    errno.EACCES: "change the owner or the rights of that folder",
    errno.EPERM: "change the owner or the rights of that folder",
    errno.ENOSPC: "make room on that disk, and type the same again",
    errno.EDQUOT: "make room within your quota, and type the same again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
}
"""Faults of a disk, not of a program: what to do about each."""


SQLITE = "copy the project to a place that can be written, and set DVC_SITE_CACHE_DIR to a folder that can be"
"""What to do about a database of DVC's, which names no file."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Those that end a run which was well: libraries that write in another language hand on the system's words only."""


def disk_fault(error: BaseException) -> RunError | None:
    """The message for what a disk refused, full or read-only; None for any other error."""
    if isinstance(error, FileNotFoundError) and "No usable temporary directory" in str(error):
        what = "no folder for temporary files can be written"
        return RunError(what, where="TMPDIR", hint="set TMPDIR to a folder that can be written")
    if type(error).__module__ == "sqlite3" and type(error).__name__ == "OperationalError":  # DVC's own records
        what = f"a database cannot be opened or written: {error}"
        return RunError(what, where="dvc, in .dvc/tmp or its site cache", hint=SQLITE)
    for number, hint in DISK_FAULTS.items():
        said = os.strerror(number)
        in_words = number in FULL and not isinstance(error, OSError) and said in str(error)
        if getattr(error, "errno", None) == number or in_words:
            place = getattr(error, "filename", None)
            return RunError(f"the disk refused: {said}", str(place) if place else None, hint)
    return None


def lies_inside(path: Path, folder: Path) -> bool:
    """Says whether a path, which need not exist, lies in a folder once its symbolic links are followed."""
    return path.resolve().is_relative_to(folder.resolve())


def _beside(path: Path) -> Path:
    """A name that no other process takes, in the same folder, so that renaming is one step of the file system."""
    # The number of a process is its own on one machine only.
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(3)}.partial")
