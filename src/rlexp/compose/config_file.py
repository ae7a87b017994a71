"""Where a mistake stands: the file of conf/ and its line, or the override that was typed."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override

from rlexp.compose.places import Places
from rlexp.errors import RunError

GLOBAL = "_global_"


@dataclass(frozen=True)
class Scene:
    """What Hydra was reading when an error was raised."""

    override: str | None = None
    """The override of the command line that it was applying."""
    file: Path | None = None
    """The file that it was reading or merging."""
    package: str | None = None
    """The place in the tree of what the file holds; ``_global_`` and empty: the whole tree."""
    option: str | None = None
    """The option that the file is, such as ``experiment/mine``."""

    @property
    def place(self) -> str | None:
        """The file as it is typed from here."""
        return os.path.relpath(self.file) if self.file else None

    @property
    def key(self) -> str | None:
        """The key of the override."""
        return self.override.partition("=")[0].lstrip("+~") if self.override else None

    def where(self, key: str) -> str | None:
        """The file and line that hold a dotted key; the key, or the override, where no file does."""
        if not self.file or self.override:
            return key or self.override
        line = line_of(self.file, key.split("."))
        return f"{self.place}:{line}" if line else f"{self.place}, {key}" if key else self.place

    def group(self, places: Places) -> str:
        """The group that a value stands for in the file, or whose second option it is; empty where there is none."""
        if (self.option or "").startswith("schema/"):
            return str(self.option).split("/")[1]
        tree = yaml.safe_load(self.file.read_text(encoding="utf-8")) if self.file else None
        keys = tree if isinstance(tree, dict) else {}
        return next(
            (str(key) for key, value in keys.items() if isinstance(value, str) and places.is_group(str(key))), ""
        )

    def lacks_package(self, key: str) -> bool:
        """Whether a key is unknown since its file does not say ``# @package _global_``."""
        group = (self.option or "").partition("/")[0]
        return bool(self.file and group and key == group == self.package)


def scene(errors: Iterable[BaseException], places: Places) -> Scene:
    """What Hydra was reading, from the frames of its loader that the errors went through.

    Args:
        errors: an error and its causes.
        places: where the options are.
    """
    found: dict[str, Any] = {}
    for error in errors:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            name, values = frame.f_code.co_name, frame.f_locals
            if name == "_apply_overrides_to_config" and "override" in values:
                found["override"] = values["override"].input_line
            elif name == "_compose_config_from_defaults_list" and "default" in values:
                default, loaded = values["default"], values.get("loaded")
                found["option"], found["package"] = default.config_path, default.package
                folder = loaded and Path(loaded.path.partition("://")[2])
                option = default.config_path
                found["file"] = folder / f"{option}.yaml" if folder else places.option_file(option)
            elif name == "__init__" and isinstance(values.get("override"), Override):
                found["override"] = values["override"].input_line
            elif name == "load_config" and "full_path" in values:
                found["file"] = Path(values["full_path"])
            elif name == "_create_defaults_tree_impl" and isinstance(error, RecursionError):
                option = values["root"].node.get_config_path()
                found["option"], found["file"] = option, places.option_file(option)
            elif name in ("_create_defaults_list", "_extract_defaults_list") and "config_path" in values:
                found["option"], found["file"] = values["config_path"], places.option_file(values["config_path"])
        if named := re.match(r"In '([^'+]+/[^'+]+)': Could not", str(error)):
            found["option"], found["file"] = named.group(1), places.option_file(named.group(1))
    if (file := found.get("file")) and not file.is_file():
        del found["file"]
    return Scene(**found)


def line_of(file: Path, keys: list[str]) -> int | None:
    """The line of a dotted key in a YAML file, whose content may stand below the key's first parts."""
    try:
        tree = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeError, yaml.YAMLError):
        return None
    for start in range(len(keys)):
        node, line = tree, None
        for key in keys[start:]:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            entry = next(((k, v) for k, v in pairs if k.value == key), None)
            if entry is None:
                line = None
                break
            line, node = entry[0].start_mark.line + 1, entry[1]
        if line:
            return line
    return None


def entry_line(file: Path, group: str) -> int:
    """The line of the entry of a file's defaults that chooses a group; the first line where none does."""
    lines = file.read_text(encoding="utf-8").splitlines()
    entry = re.compile(rf"\s*-\s*(override\s+)?/?{re.escape(group)}\s*:")
    return next((number for number, line in enumerate(lines, start=1) if entry.match(line)), 1)


def explain_yaml(error: yaml.YAMLError | UnicodeError, seen: Scene) -> RunError:
    """The answer to a file that is no YAML."""
    if isinstance(error, UnicodeError):
        return RunError("the file is not UTF-8 text", where=seen.place, hint="save it as UTF-8")
    mark = getattr(error, "problem_mark", None)
    line = f":{mark.line + 1}" if mark else ""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).split("\n")[0]
    what, hint = f"the file is no YAML: {problem}", "close what is open there, or quote the text: KEY: 'a: b'"
    if "'\\t'" in problem:
        what, hint = "the line begins with a tab, and YAML takes spaces only", "write two spaces instead of the tab"
    elif twice := re.search(r"duplicate key (.+)", problem):
        what, hint = f"the key {twice.group(1)} stands twice", "leave one of the two"
    elif tag := re.search(r"constructor for the tag '(?:tag:yaml.org,2002:)?(.+)'", problem):
        what = f"the tag {tag.group(1)} means nothing in an option: a file of conf/ holds plain values"
        hint = "leave the tag out, or quote the text that begins with !"
    elif alias := re.search(r"found undefined alias '?(\w+)", problem):
        what = f"*{alias.group(1)} repeats what is marked &{alias.group(1)} above it, and nothing is"
        hint = f"quote the text: '*{alias.group(1)}', or mark the value that is meant: &{alias.group(1)}"
    elif "another document" in problem:
        what, hint = "a second document begins here, and a file holds one", "leave out the line ---"
    return RunError(what, where=f"{seen.place or 'a file of conf/'}{line}", hint=hint)
