"""The parts that schemas of answers are made of (JSON Schema, draft 2020-12), and their fields as a page lists them.

An object says its known fields and leaves others alone: new ones may come, and nobody who reads an answer breaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
Fields = dict[str, Schema]


def text(about: str, *choices: str) -> Schema:
    """A text, or one of some."""
    return {"type": "string", "description": about, **({"enum": list(choices)} if choices else {})}


def number(about: str) -> Schema:
    """A number."""
    return {"type": "number", "description": about}


def count(about: str) -> Schema:
    """A whole number of at least 0."""
    return {"type": "integer", "minimum": 0, "description": about}


def flag(about: str) -> Schema:
    """A truth value."""
    return {"type": "boolean", "description": about}


def anything(about: str) -> Schema:
    """Any JSON value."""
    return {"description": about}


def maybe(schema: Schema, null: str = "") -> Schema:
    """The schema, or null.

    Args:
        null: what null says.
    """
    about = f"{schema['description']}; null {null}" if null else schema.get("description")
    return {**schema, "type": [schema["type"], "null"], **({"description": about} if about else {})}


def items(schema: Schema, about: str) -> Schema:
    """A list."""
    return {"type": "array", "items": schema, "description": about}


def texts(about: str) -> Schema:
    """A list of texts."""
    return items(text(""), about)


def mapping(schema: Schema, about: str, key: str = "NAME") -> Schema:
    """An object whose names are not known before.

    Args:
        key: what stands for a name in the list of fields.
    """
    return {"type": "object", "additionalProperties": schema, "description": about, "x-key": key}


def record(fields: Fields, about: str = "", optional: Fields | None = None) -> Schema:
    """An object with known fields.

    Args:
        optional: those that are not always there.
    """
    known = {"type": "object", "properties": {**fields, **(optional or {})}, "required": list(fields)}
    return {**known, "description": about} if about else known


def listed(schema: Schema, path: str = "") -> Iterator[tuple[str, str, bool, str]]:
    """Every field of a schema as (path, type, whether it may be missing, what it is): ``points[].run_dir``."""
    if "oneOf" in schema:
        for part in schema["oneOf"]:
            yield from listed(part, path)
        return
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "array" in kinds:
        yield from _field(schema["items"], f"{path}[]", False)
    if "object" in kinds and "properties" in schema:
        for name, part in schema["properties"].items():
            yield from _field(part, f"{path}.{name}" if path else name, name not in schema["required"])
    elif "object" in kinds and isinstance(schema.get("additionalProperties"), dict):
        yield from _field(schema["additionalProperties"], f"{path}.{schema['x-key']}", False)


def _field(schema: Schema, path: str, optional: bool) -> Iterator[tuple[str, str, bool, str]]:
    if about := schema.get("description"):
        kinds = schema.get("type", "any")
        about += f": {', '.join(map(str, schema['enum']))}" if "enum" in schema else ""
        yield path, kinds if isinstance(kinds, str) else " or ".join(kinds), optional, about
    yield from listed(schema, path)
