"""The flag ``--save-as=conf/GROUP/NAME.yaml``: what an id, a folder or a file means becomes an option."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from rlexp import files
from rlexp.cli import flags
from rlexp.compose import typed_ids
from rlexp.compose.places import Places
from rlexp.compose.points import Point
from rlexp.compose.schema import Dataset, Lora, Model
from rlexp.errors import RunError

FLAG = flags.SAVE_AS
SCHEMAS: dict[str, type] = {"model": Model, "dataset": Dataset}
NAME = re.compile(r"\w[\w.-]*", re.A)

_asked: list[str] = []


def ask(typed: Sequence[str]) -> None:
    """Keeps the files of ``--save-as``, as they were typed, for ``write``."""
    _asked[:] = typed


def write(points: Sequence[Point], root: Path, here: Path) -> list[str]:
    """Writes the options that were asked for, and says so.

    Args:
        points: those that were composed; the options of one are written.
        root: the project's folder.
        here: the folder in which the command was typed.

    Returns:
        The files, from the project folder.

    Raises:
        RunError: there are several points, or a file is no option of the project's own, or is there already; nothing
            was written.
    """
    typed, _asked[:] = list(_asked), []
    if not typed:
        return []
    if len(points) > 1:
        raise RunError("an option is written for one run, not for a sweep", where="-m", hint="leave out -m")
    places = [_place(file, root, here, points[0].overrides) for file in typed]
    for group, place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(place, content(group, points[0]))
        shown = os.path.relpath(place, root)
        print(f"saved: {shown}; from now on: {group}={place.stem}")
    return [os.path.relpath(place, root) for _, place in places]


def _place(file: str, root: Path, here: Path, overrides: Sequence[str]) -> tuple[str, Path]:
    """(group, path) of the option that is to be written."""
    form = f"type {FLAG}=conf/model/NAME.yaml, or conf/dataset/NAME.yaml"
    where = f"{FLAG}={file}"
    beside = [Path(os.path.abspath(folder / file)) for folder in (here, root)]
    place = next((one for one in beside if one.parent.parent == root / "conf" and one.parent.name in SCHEMAS), None)
    if place is None or place.suffix != ".yaml" or not files.lies_inside(place.parent, root):
        raise RunError(f"{file} is no place of an option of this project", where=where, hint=form)
    group, name = place.parent.name, place.stem
    if not NAME.fullmatch(name) or not _reads_as_text(name):
        legal = re.sub(r"[^\w-]+", "_", typed_ids.name_of(name), flags=re.A)
        legal = legal if NAME.fullmatch(legal) and _reads_as_text(legal) else f"my_{legal}"
        hint = f"type {FLAG}=conf/{group}/{legal}.yaml: letters, digits and . _ -"
        raise RunError(f"{name!r} is no name that can be typed as an option", where=where, hint=hint)
    if not any(re.match(rf"\+?{group}\b", override) for override in overrides):
        hint = f"type {group}= as well: {group}=hub:ORG/NAME, or a folder or a file"
        raise RunError(f"no {group} was typed that could be written", where=where, hint=hint)
    if name in Places.of(root).option_files(group) and not place.exists():
        hint = f"type {FLAG}=conf/{group}/my_{name}.yaml"
        raise RunError(f"{name} is an option of rlexp's own, which this one would hide", where=where, hint=hint)
    if place.exists():
        taken = {path.stem for path in place.parent.glob("*.yaml")}
        free = next(f"{name}_{number}" for number in range(2, len(taken) + 3) if f"{name}_{number}" not in taken)
        hint = f"type {FLAG}=conf/{group}/{free}.yaml, or remove the file first"
        raise RunError(f"conf/{group}/{name}.yaml is there already, and is not written over", where=where, hint=hint)
    return group, place


def _reads_as_text(name: str) -> bool:
    """Whether Hydra reads a name as text: null, true and 1.5 are values of other kinds."""
    return isinstance(OverridesParser.create().parse_override(f"model={name}").value(), str)


def content(group: str, point: Point) -> str:
    """The text of an option's file: every key that differs from the schema's default, and where it came from.

    Args:
        group: ``model`` or ``dataset``.
    """
    made: dict[str, Any] = point.run.config()[group]
    option = SCHEMAS[group]
    defaults = {field.name: _default(field) for field in dataclasses.fields(option)}
    if group == "dataset" and point.run.dataset.own_place:
        made.pop("path")
    tree = {key: made[key] for key in defaults if key in made and made[key] != defaults[key]}
    typed = " ".join(one for one in point.overrides if re.match(rf"[+~]*{group}\b", one)).replace("\n", " ")
    choice = f"{group}={point.choices.get(group)}"
    origin = typed if choice in typed else f"{choice} {typed}".strip()
    body = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    return f"# Written by {FLAG} from: {origin}\n{body}"


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        value: Any = field.default_factory()
        return dataclasses.asdict(value) if isinstance(value, Lora) else value
    return field.default.name if isinstance(field.default, Enum) else field.default
