"""The parameters of a data_prep script, held against the signature of its function, which is read and not run."""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from rlexp.compose.places import Places
from rlexp.errors import RunError, nearest

NUMBERS: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "float | int": (int, float),
    "bool": bool,
}
"""Annotation of a script's parameter -> the values that it takes; others are the script's to judge."""


def parameters(script: Path, name: str) -> dict[str, str] | None:
    """The parameters of a function of a script with their types as they are written (empty without one), read from its
    source and not run.

    Returns:
        None where there is no such function, where it takes any (``**``), or where the source cannot be read: running
        it says why.
    """
    try:
        body = ast.parse(script.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None
    function = next((node for node in body if isinstance(node, ast.FunctionDef) and node.name == name), None)
    if function is None or function.args.kwarg:
        return None
    named = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return {item.arg: ast.unparse(item.annotation) if item.annotation else "" for item in named}


def require_known(config: Mapping[str, Any], places: Places) -> None:
    """Holds the parameters of the project's own scripts against them, whether what they make is there already or not.

    Args:
        config: the run's.
        places: where the scripts are looked up.

    Raises:
        RunError: a script takes no such parameter, or none of that type.
    """
    free: dict[str, Any] = {"folder": None}
    asked = [("dataset", config["dataset"], "data", "rows", {}), ("model", config["model"], "models", "build", free)]
    for name, part in config["dataset"]["parts"].items():
        asked.append((f"dataset.parts.{name}", part, "data", "rows", {}))
    for group, option, made, function, beside in asked:
        script = places.path(f"data_prep/{option['prepare']}.py")
        if option["prepare"] and option["path"] == f"{made}/{option['name']}" and script.is_file():
            require({**beside, **option["params"]}, script, function, f"{group}.params")


def require(given: dict[str, Any], script: Path, function: str, where: str) -> None:
    """Holds the parameters of a script against its function's signature, without running it."""
    known = parameters(script, function)
    if known is None:
        return
    require_names(given, known, script, function, where)
    for key, value in given.items():
        kinds = NUMBERS.get(known[key])
        if kinds and (not isinstance(value, kinds) or isinstance(value, bool) is not (kinds is bool)):
            raise RunError(
                f"{key} is {value!r}, and {function}() of data_prep/{script.name} takes {known[key]}",
                where=f"{where}.{key}",
                hint=f"type {where}.{key}={'true' if kinds is bool else '10'}, or another {known[key]}",
            )


def require_names(given: Iterable[str], known: Collection[str], script: Path, function: str, where: str) -> None:
    """Checks whether a script's function takes all of these parameters.

    Args:
        where: the key of the parameters.

    Raises:
        RunError: it does not; the message names the first and what it takes.
    """
    for key in given:
        if key not in known:
            guess = nearest(key, known)
            raise RunError(
                f"{function}() of data_prep/{script.name} takes {', '.join(known) or 'no parameters'}, not {key}",
                where=f"{where}.{key}",
                hint=f"type {where}.{guess}=VALUE" if guess else f"leave {where}.{key} out",
            )


def require_files(given: Mapping[str, Any], root: Path, where: str) -> None:
    """Checks whether the files are there that parameters name: those called ``file`` or ``..._file``.

    Args:
        root: the project folder, from which their paths go.
        where: the key of the parameters.

    Raises:
        RunError: one is missing.
    """
    for key, value in given.items():
        if (key == "file" or key.endswith("_file")) and isinstance(value, str) and not (root / value).is_file():
            hint = _near_file(root / value, f"{where}.{key}", root)
            raise RunError(f"there is no file {value}", where=f"{where}.{key}", hint=hint)


def _near_file(missing: Path, key: str, root: Path) -> str:
    """What to type in the place of a file that is not there."""
    beside = [path.name for path in missing.parent.iterdir() if path.is_file()] if missing.parent.is_dir() else []
    guess = nearest(missing.name, beside)
    if guess is None:
        return f"type {key}=FILE with a file's path from the project folder"
    return f"did you mean {key}={os.path.relpath(missing.parent / guess, root)}?"
