"""``sweep.json``: what a sweep was to be, written before its first point begins. Each point's own record says the rest.

A point is a folder below it, named by identity and seed, so that a sweep can grow.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp import files, shapes
from rlexp.errors import RunError
from rlexp.record.claim import MANIFEST, SWEEP
from rlexp.shapes import COUNT, INSIDE, NAME, TEXT, record

FILE, FORMAT = "sweep.json", 1
BEST = "@best"
"""Stands behind the folder of a sweep for its best point."""
NAMED = 3
"""Points that a message names."""
WORDS = {"type": "array", "items": TEXT, "maxItems": 10_000}
POINT = record({"folder": INSIDE, "overrides": WORDS, "identity": NAME, "seed": COUNT})
IMPOSSIBLE = record({"overrides": WORDS, "reason": TEXT})
SCHEMA = record(
    {
        "format": {"enum": [FORMAT]},
        "typed": WORDS,
        "launcher": NAME,
        "points": {"type": "array", "items": POINT, "maxItems": 10_000},
        "impossible": {"type": "array", "items": IMPOSSIBLE, "maxItems": 10_000},
    }
)
"""The shape of FILE."""


@dataclass(frozen=True)
class Planned:
    """A point that was planned."""

    folder: str
    """From that of the sweep."""
    overrides: list[str]
    identity: str
    seed: int


@dataclass(frozen=True)
class Impossible:
    """A point that was left out."""

    overrides: list[str]
    reason: str


@dataclass(frozen=True)
class Plan:
    """What a sweep was to be."""

    typed: list[str]
    """The overrides of the command that began it, as typed."""
    launcher: str
    points: list[Planned]
    impossible: list[Impossible] = field(default_factory=list)

    def varied(self) -> list[list[str]]:
        """Of each point the overrides that not every point has."""
        return varied([point.overrides for point in self.points])

    def grown(self, other: Plan) -> Plan:
        """With the points of another plan that it does not hold yet."""
        held = {point.folder for point in self.points}
        left_out = [one for one in other.impossible if one not in self.impossible]
        more = [point for point in other.points if point.folder not in held]
        return dataclasses.replace(self, points=[*self.points, *more], impossible=[*self.impossible, *left_out])


def varied(lists: Sequence[list[str]]) -> list[list[str]]:
    """Of each point's overrides those that not every point has."""
    common = set.intersection(*map(set, lists)) if lists else set()
    return [[one for one in overrides if one not in common] for overrides in lists]


def write(folder: Path, plan: Plan) -> None:
    """Writes FILE, whole."""
    content = {"format": FORMAT, **dataclasses.asdict(plan)}
    files.write_text(folder / FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read(folder: Path) -> Plan | None:
    """What a sweep was to be; None where its folder holds no FILE.

    Raises:
        RunError: the file has another shape.
    """
    content = shapes.read_json(folder / FILE, SCHEMA, "sweep")
    if content is None:
        return None
    return Plan(
        content["typed"],
        content["launcher"],
        [Planned(**_known(Planned, one)) for one in content["points"]],
        [Impossible(**_known(Impossible, one)) for one in content["impossible"]],
    )


def holds(folder: Path) -> bool:
    """Says whether a folder is a sweep's; one that another version or a ladder left holds Hydra's file only."""
    return any(os.path.isfile(folder / name) for name in (FILE, SWEEP))


def refuse(typed: str, here: Path, root: Path) -> None:
    """Refuses the folder of a sweep, or ``FOLDER@best``, where one run is asked for.

    Args:
        typed: a path, from the folder the command was typed in or from the project folder.

    Raises:
        RunError: it is one; its points are named.
    """
    for folder in (here / typed.removesuffix(BEST), root / typed.removesuffix(BEST)):
        if holds(folder):
            raise one_run(folder, typed, typed, lambda name: f"{typed.removesuffix(BEST)}/{name}")


def one_run(folder: Path, typed: str, where: str, point: Callable[[str], str]) -> RunError:
    """The message for a sweep that was typed where one run is asked for.

    Args:
        point: what to type for a point, by the name of its folder.
    """
    names = sorted(path.parent.relative_to(folder).as_posix() for path in folder.glob(f"*/{MANIFEST}"))
    more = f" or one of {len(names) - NAMED} more" if len(names) > NAMED else ""
    shown = typed.removesuffix(BEST)
    best = f"python -m rlexp sweep {shown} says which is best, and pin {shown}{BEST} takes it"
    hint = f"name a point: {', '.join(map(point, names[:NAMED]))}{more}; {best}" if names else "no point of it began"
    return RunError(f"{shown} is the folder of a sweep, and one run is asked for", where=where, hint=hint)


def require(folder: Path, where: str) -> Plan:
    """What a sweep was to be.

    Raises:
        RunError: the folder holds none.
    """
    found = read(folder)
    if found is None:
        above = (folder.parent / FILE).is_file()
        hint = f"name the folder of a sweep{f': that above it, {Path(where).parent}' if above else ''}"
        raise RunError(f"{where} holds no sweep: {FILE} is not there", where=where, hint=hint)
    return found


def _known(kind: type[Any], content: dict[str, Any]) -> dict[str, Any]:
    return {one.name: content[one.name] for one in dataclasses.fields(kind)}
