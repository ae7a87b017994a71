"""Values of a row by their path in it, and what of them cannot be stored."""

from __future__ import annotations

import json
from typing import Any

from rlexp.errors import RunError

Row = dict[str, Any]


def at_path(row: Row, path: str) -> Any:
    """The value at a dotted path (``reward_model.ground_truth``), through objects and their JSON text; else None."""
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        value = object_of(value)
        if value is None or part not in value:
            return None
        value = value[part]
    return value


def object_of(value: Any) -> dict[str, Any] | None:
    """An object, also one that is written as JSON text; None for everything else."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def paths(row: Row) -> list[str]:
    """The dotted paths of the texts and numbers in the objects of a row."""
    found = []
    for name, value in row.items():
        inner = object_of(value)
        found += [name] if inner is None else [f"{name}.{path}" for path in paths(inner)]
    return found


def require_characters(value: Any, where: str, key: str = "") -> None:
    """Checks that every text is made of characters: half of a surrogate pair is none, and cannot be stored.

    Raises:
        RunError: one is not; the message names its key.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(value[error.start]):x}"
            raise RunError(
                f"a text holds {half}, half of a surrogate pair: it is no character",
                where=f"{where}: {key}",
                hint="take it out of the file, or write U+FFFD for it; what cut the text cut a character in two",
            ) from error
    elif isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            require_characters(part, where, f"{key}.{name}" if key else str(name))
            if isinstance(name, str):
                require_characters(name, where, key)


def without_shared_keys(row: Row) -> Row:
    """The row of an Arrow table, its tools and tool calls without the keys that they have of one another only.

    A column of objects gives each of them the keys of all, null where it has none of its own.
    """
    return {name: _own_keys(value) if _calls_tools(value) else value for name, value in row.items()}


def _calls_tools(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(part, dict) and {"tool_calls", "function"} & part.keys() for part in value
    )


def _own_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _own_keys(part) for key, part in value.items() if part is not None}
    return [_own_keys(part) for part in value] if isinstance(value, list) else value
