"""Finds the project folder (conf/, rewards/, data_prep/ ...) that a command works on."""

from __future__ import annotations

import functools
from pathlib import Path

from rlexp.errors import RunError

MARK = Path("conf") / "config.yaml"


def find(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds conf/config.yaml.

    Raises:
        RunError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / MARK).is_file():
            return folder
    raise RunError(
        "this is not an rlexp project: no conf/config.yaml here or in any folder above",
        where=str(start),
        hint="cd into a clone of the project, and type the command there",
    )


@functools.cache
def root() -> Path:
    """The project folder of the working directory, found once in each process."""
    return find(Path.cwd())
