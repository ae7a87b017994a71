"""A file of conf/ held against the schema: the first value of another kind than the tree has in its place."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

from rlexp.compose.config_file import GLOBAL, Scene, line_of
from rlexp.compose.places import Places
from rlexp.compose.schema import RunSchema
from rlexp.errors import RunError, nearest

BOOLEAN = "; YAML reads off and no as false, on and yes as true, unless they stand in quotes"


def misplaced(seen: Scene, places: Places) -> RunError | None:
    """The answer to a file of a wrong shape; None where no file was read, or its shape is right.

    Args:
        seen: what Hydra was reading.
        places: where the options are.
    """
    if not seen.file or seen.override or (seen.option or "").startswith("schema/"):
        return None
    try:
        tree = yaml.safe_load(seen.file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if isinstance(tree, list):
        hint = "write `KEY: VALUE` lines without `- `; what the file chooses goes below `defaults:`"
        return RunError("the file is a list, and an option is keys with their values", where=seen.place, hint=hint)
    above = [] if seen.package in (None, "", GLOBAL) else str(seen.package).split(".")
    for name in reversed(above):
        tree = {name: tree}
    found = next(_wrong(OmegaConf.structured(RunSchema), tree, []), None)
    return _answer(*found, seen, places) if found else None


def require_method(config: DictConfig, places: Places) -> None:
    """Names the file that states null in the place of the method, which the schema cannot refuse.

    Raises:
        RunError: one does.
    """
    if OmegaConf.select(config, "method") is not None:
        return
    for group, option in config.hydra.runtime.choices.items():
        file = places.option_file(f"{group}/{option}")
        if line := line_of(file, ["method"]):
            raise RunError(
                "method cannot be null",
                where=f"{os.path.relpath(file)}:{line}",
                hint="leave the line out; to choose one: write `- override /method: grpo` below `defaults:`",
            )


def _wrong(node: Any, value: Any, path: list[str]) -> Iterator[tuple[list[str], Any, Any]]:
    """The values that are of another kind than their node, each with its path and that node."""
    if value is None or (isinstance(value, str) and value.startswith("${")):
        return
    if isinstance(node, ListConfig) and isinstance(value, dict):
        yield path, value, node
    if not isinstance(node, DictConfig) and path != ["method"]:
        return
    if not isinstance(value, dict):
        yield path, value, node
        return
    for key, below in value.items() if isinstance(node, DictConfig) else ():
        kind = node._metadata.element_type
        if key in node:
            yield from _wrong(node._get_node(key), below, [*path, str(key)])
        elif dataclasses.is_dataclass(kind):
            yield from _wrong(OmegaConf.structured(kind), below, [*path, str(key)])


def _answer(path: list[str], value: Any, node: Any, seen: Scene, places: Places) -> RunError:
    key, where = ".".join(path), seen.where(".".join(path))
    what = f"a list, not {value!r}" if isinstance(node, ListConfig) else f"a group of keys, not {value!r}"
    if len(path) == 1 and places.is_group(key):
        options = list(places.option_files(key))
        words = [str(item) for item in value] if isinstance(value, list) else [_word(value)]
        wanted = [nearest(word, options) or "" for word in (words if key == "reward" else words[:1])]
        option = "+".join(filter(None, wanted)) or "OPTION"
        quoted = f'"{option}"' if option in ("off", "on", "yes", "no") else option
        return RunError(
            f"{key} is a group, and takes one option" + (BOOLEAN if isinstance(value, bool) else ""),
            where=where,
            hint=f"take the line out, and write `- override /{key}: {quoted}` below `defaults:` "
            f"(one of: {', '.join(options)})",
        )
    if key == "reward.terms":
        hint = "write a key for each: `terms: {format: {file: rewards/format.py}}`, or choose options: "
        hint += "`- override /reward: format+correct` below `defaults:`"
    elif isinstance(node, ListConfig):
        hint = f"write {path[-1]}: [A, B]"
    else:
        keys = [str(name) for name in node] if isinstance(node, DictConfig) else []
        hint = f"write `{path[-1]}: {{{keys[0] if keys else 'KEY'}: VALUE}}`" + (
            f" (its keys: {', '.join(keys)})" if keys else ""
        )
    return RunError(f"{key} is {what}", where=where, hint=hint)


def _word(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
