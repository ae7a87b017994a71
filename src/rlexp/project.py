"""Finds the project folder that a command works on, and the folder of what rlexp ships."""

from __future__ import annotations

import functools
from pathlib import Path

from rlexp.errors import RunError

CONF = "conf"
MARK = Path(CONF) / "config.yaml"


def find(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds conf/config.yaml.

    Raises:
        RunError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / MARK).is_file():
            return folder
    begun = (start / CONF).is_dir()
    raise RunError(
        f"this is not an rlexp project: no {MARK} here or in any folder above",
        where=str(start),
        hint=f"{CONF}/ is there: cp {shipped() / MARK} {CONF}/"
        if begun
        else "cd into a project and type the command there, or make one: rlexp init FOLDER",
    )


@functools.cache
def root() -> Path:
    """The project folder of the working directory, found once in each process."""
    return find(Path.cwd())


@functools.cache
def shipped() -> Path:
    """The folder of what rlexp ships (conf/, rewards/, data_prep/, models/tiny): in the installed package, or the clone
    that rlexp runs from."""
    carried = Path(__file__).parent / "shipped"
    return carried if carried.is_dir() else Path(__file__).parents[2]


def pip(extra: str) -> str:
    """What to type to install rlexp with an extra, in the versions that were tested together."""
    clone = (shipped() / "pyproject.toml").is_file()
    constraints = _typed("constraints-gpu.txt" if extra == "gpu" else "constraints.txt")
    return f"pip install -c {constraints} " + (f"-e '.[{extra}]'" if clone else f"'rlexp[{extra}]'")


def pip_unsloth() -> str:
    """What to type to install Unsloth beside it on a machine without a GPU."""
    return f"pip install --no-deps -r {_typed('requirements-unsloth.txt')}"


def _typed(file: str) -> str:
    """A shipped file as it is typed from here: a clone's own by its name."""
    path = shipped() / file
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)
