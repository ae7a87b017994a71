"""Options that a project's config or a command line chooses and no file holds: all of them, where Hydra names one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import yaml

from rlexp.compose.config_file import entry_line
from rlexp.compose.places import Places
from rlexp.errors import RunError, Several, nearest
from rlexp.project import MARK, shipped

COMPOSED = ("auto",)
"""Options that no file holds."""


def with_others(error: RunError, group: str, places: Places, overrides: Sequence[str]) -> RunError:
    """The error of one missing option, and those of the other groups.

    Args:
        group: that of the error.
        places: where the options are.
        overrides: those that were composed.
    """
    others = [one for name, one in _missing(places, overrides) if name != group]
    return Several([error, *others], f"write them; how such files look: {shipped()}") if others else error


def _missing(places: Places, overrides: Sequence[str]) -> Iterator[tuple[str, RunError]]:
    config, where = places.option_file(MARK.stem), {}
    chosen: dict[str, str] = {}
    tree = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else None
    for entry in (tree.get("defaults") or []) if isinstance(tree, dict) else []:
        for key, option in entry.items() if isinstance(entry, dict) else ():
            group = str(key).removeprefix("override ").strip("/ ")
            chosen[group], where[group] = str(option), f"{MARK}:{entry_line(config, group)}"
    for override in overrides:
        group, _, option = override.partition("=")
        if places.is_group(group):
            chosen[group], where[group] = option, override
    for group, option in chosen.items():
        known = places.option_files(group)
        if not places.is_group(group) or not re.fullmatch(r"[\w+-]+", option) or option in ("None", "null"):
            continue
        for part in option.split("+"):
            if part not in known and part not in COMPOSED:
                guess = nearest(part, known)
                hint = (f"did you mean {group}={guess}? or " if guess else "") + f"put {part}.yaml into conf/{group}"
                yield group, RunError(f"there is no {group} named {part!r}", where[group], hint)
