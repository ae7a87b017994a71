"""Files and folders that appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rlexp.secrets import masked


def write_text(path: Path, text: str) -> None:
    """Writes a file, secrets masked; the old one stands until the new one is whole."""
    partial = _beside(path)
    partial.write_text(masked(text))
    partial.replace(path)


def append_text(path: Path, text: str) -> None:
    """Adds to the end of a file, secrets masked."""
    with path.open("a") as stream:
        stream.write(masked(text))


@contextlib.contextmanager
def whole_folder(folder: Path, replace: bool = False) -> Iterator[Path]:
    """A folder that appears when the block ends, and does not after an error.

    Args:
        replace: the folder may be there already; the old one stands until the new one is whole.

    Yields:
        An empty folder beside it, to write into.

    Raises:
        OSError: ``folder`` is there, is not empty, and may not be replaced.
    """
    partial = _beside(folder)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if replace:
            shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def lies_inside(path: Path, folder: Path) -> bool:
    """Says whether a path, which need not exist, lies in a folder once its symbolic links are followed."""
    return path.resolve().is_relative_to(folder.resolve())


def _beside(path: Path) -> Path:
    """A name that no other process takes, in the same folder, so that renaming is one step of the file system."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")
