"""The shapes of what is read from files that others may have written: hashes, names, paths that stay inside.

A lock, a manifest and a snapshot's description are data from a stranger: each is held against its schema (JSON Schema)
before anything of it is used. A schema says the shape of every key that is known; keys that are not are left alone.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from rlexp.errors import RunError, printable

LONGEST = 100_000
"""Characters of a text."""
MOST_NODES = 200_000
"""Values in a file, counted as often as YAML's aliases name them: a few lines of these can stand for billions."""
HINT = "take it from where it came from; it was not used"
SHOWN = 80
"""Characters of a faulty value in a message."""

TEXT = {"type": "string", "maxLength": LONGEST, "pattern": r"\A[^\x00]*\Z", "description": "a text"}
NO_CONTROL = r"[^\x00-\x1f\x7f-\x9f]"
STEERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
MD5 = {"type": "string", "pattern": r"\A[0-9a-f]{32}(\.dir)?\Z", "description": "an md5 in hexadecimal digits"}
SHA256 = {"type": "string", "pattern": r"\A[0-9a-f]{64}\Z", "description": "a sha256 in hexadecimal digits"}
NAME = {
    "type": "string",
    "maxLength": 200,
    "pattern": r"\A(?!\.)[\w.+@=,-]+\Z",
    "description": "a name of letters, digits and . _ + @ = , - that begins with no dot",
}
INSIDE = {
    "type": "string",
    "maxLength": 1000,
    "pattern": r"\A(?!/)(?!(.*/)?\.\.(/|\Z))[^\x00-\x1f\x7f-\x9f\\]+\Z",
    "description": "a path inside of its folder",
}
PATH = {"type": "string", "maxLength": 4000, "pattern": rf"\A{NO_CONTROL}+\Z", "description": "a path"}
SCRIPT = {"type": "string", "pattern": r"\Adata_prep/[\w-]+\.py\Z", "description": "a script of data_prep/"}
COUNT = {"type": "integer", "minimum": 0, "maximum": 2**53, "description": "a number of at least 0"}


def mapping(values: dict[str, Any], keys: dict[str, Any] | None = None, most: int = 10_000) -> dict[str, Any]:
    """The schema of a mapping whose values, and keys where they are given, have one shape."""
    names = {"propertyNames": keys} if keys else {}
    return {"type": "object", "additionalProperties": values, "maxProperties": most, **names}


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """The schema of a mapping with known keys, those of ``required`` among them."""
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def require(content: Any, schema: dict[str, Any], what: str, where: Path) -> None:
    """Holds what was read against its schema.

    Args:
        what: what the file is, for the message: ``lock``.
        where: the file.

    Raises:
        RunError: it has another shape; the message names the first key that has.
    """
    import jsonschema

    if _nodes(content, {}) > MOST_NODES:
        raise RunError(f"the {what} holds more than {MOST_NODES} values", where=str(where), hint=HINT)
    fault = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(content))
    if fault is None:
        return
    key = ".".join(str(part) for part in fault.absolute_path)
    if fault.validator == "required":
        message = f"the {what} has no {'.'.join(filter(None, (key, _missing(fault))))}"
    else:
        value = repr(fault.instance)
        shown = value if len(value) <= SHOWN else f"{value[:SHOWN]}..."
        wanted = fault.schema.get("description") or f"of the type {fault.schema.get('type', 'it should be')}"
        message = f"the {what} is not one of rlexp's: {key or 'it'} is {shown}, which is not {wanted}"
    raise RunError(message, where=str(where), hint=HINT)


def steers(text: str) -> bool:
    """Says whether a text holds characters that steer a terminal: control characters that end or indent no line."""
    return bool(STEERS.search(text))


def require_plain(tree: Any, what: str, where: Path) -> None:
    """Checks that no text of a tree, whose shape was verified, steers the terminal that shows it.

    Raises:
        RunError: one does; the message names it.
    """
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, part in parts:
        for text in (key, part):
            if isinstance(text, str) and steers(text):
                raise RunError(f"the {what} holds control characters: {text[:SHOWN]!r}", where=str(where), hint=HINT)
        require_plain(part, what, where)


def _plain(tree: Any) -> Any:
    """A tree of JSON values with all its texts without control characters."""
    if isinstance(tree, dict):
        return {printable(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    return printable(tree) if isinstance(tree, str) else tree


def _nodes(tree: Any, known: dict[int, float]) -> float:
    """The values in a tree as it is written out; infinite where it holds itself, as YAML's aliases allow.

    Args:
        known: the values of the parts that were counted, by id: a part that is named again is not walked again.
    """
    if not isinstance(tree, dict | list):
        return 1
    if id(tree) not in known:
        known[id(tree)] = math.inf  # found again before it is counted: it holds itself
        parts = tree.values() if isinstance(tree, dict) else tree
        known[id(tree)] = 1 + sum(_nodes(part, known) for part in parts)
    return known[id(tree)]


def read_json(path: Path, schema: dict[str, Any], what: str, shown: bool = False) -> Any:
    """The content of a JSON file, held against its schema; None where there is no such file.

    Args:
        what: what the file is, for the message: ``manifest``.
        shown: its texts are to be shown, and lose their control characters.

    Raises:
        RunError: it cannot be read, or has another shape.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text())
        content = _plain(content) if shown else content
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(
            f"the {what} cannot be read: {error}", where=str(path), hint="take the file from where it came from"
        ) from error
    require(content, schema, what, path)
    return content


def _missing(fault: Any) -> str:
    return next(name for name in fault.validator_value if name not in fault.instance)


def read_lines(path: Path, shape: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a file that holds one a line; none where there is no such file. A line that a kill cut in the
    middle is left out.

    Raises:
        RunError: it cannot be read, or a line has another shape.
    """
    if not path.is_file():
        return []
    try:
        found = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path.name} cannot be read: {error}", where=str(path), hint=HINT) from error
    for number, line in enumerate(found, 1):
        require(line, shape, f"line {number} of {path.name}", path)
    return found
