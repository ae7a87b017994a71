"""Formats: ``export=merged+gguf`` and ``export.KEY=VALUE`` among the overrides, a second root like ``eval=``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from rlexp.compose import second_root
from rlexp.compose.places import Places
from rlexp.compose.schema_export import ON_GPU, TYPES, Export
from rlexp.compose.second_root import Asked, SecondRoot
from rlexp.errors import RunError, nearest

ROOT, FIRST = "export", "merged"
EXPORT = SecondRoot(
    ROOT,
    "formats",
    "a format",
    "an export",
    FIRST,
    re.compile(r"[\w-]+"),
    f"{ROOT}=a+b with {', '.join(TYPES)}",
)


@dataclass(frozen=True)
class Wanted:
    """What is to be exported."""

    types: dict[str, list[str]]
    """Format -> its types, in the order of making; ``merged`` first, as the others are made from it."""
    typed: Export

    @property
    def artifacts(self) -> list[str]:
        """The names of the artifacts: FORMAT-TYPE."""
        return [artifact(name, one) for name, types in self.types.items() for one in types]

    @property
    def task(self) -> list[str]:
        """The overrides of the task that they are scored on, and of its size."""
        want = self.typed.gate.want
        return [f"eval={self.typed.task}", *([f"eval.want={want}"] if want else [])]


def artifact(format_name: str, type_name: str) -> str:
    """The name of an artifact: ``gguf-q8_0``; that of the only type of a format is the format's."""
    return format_name if len(TYPES[format_name]) == 1 else f"{format_name}-{type_name}"


def take(overrides: Sequence[str]) -> tuple[list[str], Asked]:
    """Takes ``export=`` and ``export.KEY=`` out of the overrides (``SecondRoot.take``)."""
    return EXPORT.take(overrides)


def read(asked: Asked, places: Places, on_gpu: bool) -> Wanted:
    """What is asked for, checked.

    Args:
        on_gpu: whether the run's hardware is a GPU, which says what torchao makes by default.

    Raises:
        RunError: there is no such format, type or key.
    """
    for name in asked.names:
        if name not in TYPES:
            guess = nearest(name, TYPES)
            hint = f"{f'did you mean {ROOT}={guess}? ' if guess else ''}one of: {', '.join(TYPES)}"
            raise RunError(f"there is no format {name!r}", where=f"{ROOT}={name}", hint=hint)
    try:
        typed = second_root.composed(Export, {}, asked.settings, places)
    except RunError as error:
        key = f"{ROOT}.{error.where}"
        hint = (error.hint or "docs/export.md lists the keys").replace("type ", f"type {ROOT}.", 1)
        raise RunError(error.what, key, hint) from error
    names = dict.fromkeys([FIRST, *(asked.names or (FIRST,))])
    for setting in asked.settings:
        of = re.split(r"[.=]", setting)[0]
        if of in TYPES and of not in names:
            hint = f"type {ROOT}={'+'.join([*names, of])}, or leave it out"
            raise RunError(f"{of} is not asked for, and this would not be read", where=f"{ROOT}.{setting}", hint=hint)
    types = {name: _types(name, typed, on_gpu) for name in names}
    if typed.want is None and (alone := [one for one in asked.settings if one.startswith("at_most=")]):
        hint = f"type {ROOT}.want=smallest too, or leave it out"
        raise RunError("nothing is asked to be named, and this would not be read", f"{ROOT}.{alone[0]}", hint)
    if typed.dir is not None and (PurePosixPath(typed.dir).is_absolute() or ".." in PurePosixPath(typed.dir).parts):
        hint = f"type {ROOT}.dir=exports/NAME, and {ROOT}.push=dir:FOLDER for a copy elsewhere"
        raise RunError("an export lies in the project", where=f"{ROOT}.dir={typed.dir}", hint=hint)
    return Wanted(types, typed)


def _types(name: str, typed: Export, on_gpu: bool) -> list[str]:
    found = getattr(typed, name).types
    if found is None:
        found = ["int4", "fp8"] if on_gpu else ["int8"]
    key = f"{ROOT}.{name}.types"
    for one in found:
        if one not in TYPES[name]:
            guess = nearest(one, TYPES[name])
            hint = f"{f'did you mean {guess}? ' if guess else ''}one of: {', '.join(TYPES[name])}"
            raise RunError(f"{name} has no type {one!r}", where=f"{key}=[{','.join(found)}]", hint=hint)
        if one in ON_GPU.get(name, ()) and not on_gpu:
            others = ",".join(other for other in TYPES[name] if other not in ON_GPU[name])
            hint = f"type {key}=[{others}], or set hardware=local_gpu on a machine with a GPU"
            raise RunError(f"{name} makes {one} on a GPU only", where=f"{key}=[{','.join(found)}]", hint=hint)
    if not found:
        first = next(iter(TYPES[name]))
        raise RunError(f"no type of {name} is asked for", where=f"{key}=[]", hint=f"type {key}=[{first}]")
    return list(dict.fromkeys(found))
