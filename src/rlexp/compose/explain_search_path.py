"""The answers to mistakes in ``hydra.searchpath`` and ``--config-dir``: the folders that options are looked up in."""

from __future__ import annotations

import os
from pathlib import Path

from rlexp.errors import RunError, nearest
from rlexp.project import MARK

KEY = "hydra.searchpath"


def no_folder(provider: str, named: str, typed: str | None) -> RunError:
    """The answer to a folder of options that is not there.

    Args:
        provider: who named it, in Hydra's words: ``hydra.searchpath in main``, or ``in command-line``.
        named: the folder, or the package.
        typed: the override that named it.
    """
    option = "--config-dir" if provider == "command-line" else KEY
    where = f"{MARK}, {KEY}: {named}" if "main" in provider else typed or f"{option}: {named}"
    if not named.startswith(("/", ".", "~")) and "/" not in named and not Path(named).exists():
        return RunError(
            f"there is no package of options {named}",
            where=where,
            hint=f"install it; it must hold an __init__.py (also in its conf/), or type {KEY}=[file://FOLDER/conf]",
        )
    folder = Path(os.path.abspath(Path(named).expanduser()))
    if folder.is_dir():  # it began with ~, which Hydra takes as it is
        return RunError("a path of options is taken as it is written", where=where, hint=f"type file://{folder}")
    above = next(path for path in folder.parents if path.is_dir())
    missing = folder.relative_to(above).parts[0]
    guess = nearest(missing, [path.name for path in above.iterdir() if path.is_dir()])
    meant = f"did you mean {above / guess / Path(*folder.relative_to(above).parts[1:])}? " if guess else ""
    return RunError(
        f"a folder of options is not there: {folder}",
        where=where,
        hint=f"{meant}give {option} one that is (a relative path counts from the project), or leave it out",
    )


def no_list(text: str, typed: str | None) -> RunError:
    """The answer to a search path that is one text."""
    got = text.partition("Got: ")[2].splitlines()[0].strip().strip("[]'\"")
    where = typed if typed and typed.startswith(KEY) else f"{MARK}, {KEY}"
    return RunError(f"{KEY} is a list of folders", where=where, hint=f"write it in brackets: '{KEY}=[{got}]'")


def require_options(folder: Path) -> None:
    """Checks whether a folder of the search path holds options, not a ``conf/`` that does.

    Raises:
        RunError: it holds none, and its ``conf/`` is there.
    """
    if folder.name != "conf" and (folder / "conf").is_dir() and not any(folder.glob("*/*.yaml")):
        raise RunError(
            f"{folder} holds no options, and the conf/ in it does",
            where=f"{KEY}: {folder}",
            hint=f"type {KEY}=[file://{folder / 'conf'}]",
        )
