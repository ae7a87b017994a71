"""The conditions that ``runs`` filters by, and its order."""

from __future__ import annotations

import contextlib
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from rlexp.errors import RunError, nearest
from rlexp.record.listed import COLUMNS, MISSING, RunRow

SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
EQUAL, OTHER, PART, HOLDS = "=", "!=", "in", "~"


TAGS = "tag"
"""The column that equals each of its values."""


@dataclass(frozen=True)
class Condition:
    """One filter of the command line."""

    key: str
    """A column, or a dotted key of the locked config."""
    sign: str
    """One of SIGNS, EQUAL, OTHER, HOLDS (a text in it, in capitals or not), or PART of a folder's name."""
    wanted: str

    def __str__(self) -> str:
        return self.wanted if self.sign == PART else f"{self.key}{self.sign}{self.wanted}"

    def holds(self, run: RunRow) -> bool:
        """Says whether a run meets it; one that lacks the key does not.

        Raises:
            RunError: it compares by size what is no number, or names a whole group.
        """
        return self.meets(run.value(self.key), run.folder)

    def meets(self, value: Any, whose: str) -> bool:
        """Says whether a value of the key meets it; MISSING does not.

        Raises:
            RunError: as ``holds``; ``whose`` names what has the value.
        """
        if value is MISSING:
            return False
        if isinstance(value, dict):
            below = ", ".join(f"{self.key}.{name}" for name in value) or "nothing, here"
            raise RunError(f"{self.key} is a group of the config", where=str(self), hint=f"one of: {below}")
        if self.sign == PART:
            return self.wanted in value
        if self.sign == HOLDS:
            texts = value if isinstance(value, list) else [value]
            return any(self.wanted.casefold() in str(text).casefold() for text in texts)
        if self.sign in (EQUAL, OTHER):
            named = self.key == TAGS and self.wanted in value
            return (named or self._equals(value)) == (self.sign == EQUAL)
        if value is None:
            return False
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RunError(
                f"{self.sign} compares numbers, and {self.key} is {value!r} in {whose}",
                where=str(self),
                hint=f"type {self.key}={value}",
            )
        return SIGNS[self.sign](value, self._number())

    def _equals(self, value: Any) -> bool:
        if self.key == "reward" and isinstance(value, str):  # the order of the terms says nothing about the reward
            return sorted(value.split("+")) == sorted(self.wanted.split("+"))
        if isinstance(value, int | float) and not isinstance(value, bool):
            with contextlib.suppress(RunError):
                return value == self._number()
            return False
        return str(value) == self.wanted or _parsed(self.wanted) == value

    def _number(self) -> float:
        date = self.key == "started"
        try:
            return datetime.fromisoformat(self.wanted).timestamp() if date else float(self.wanted)
        except ValueError as error:
            kind = "date, such as 2026-11-23 or 2026-11-23T14:00" if date else "number"
            hint = f"type '{self.key}{self.sign}{'2026-11-23' if date else '1'}'"
            raise RunError(f"{self.wanted!r} is no {kind}", where=str(self), hint=hint) from error


def parse(text: str) -> Condition:
    """A filter as typed; a word without a sign is looked for in the folder's name.

    Raises:
        RunError: it compares by a sign that there is not.
    """
    match = re.fullmatch(r"([^=<>!~]+)(>=|<=|!=|=|>|<|~)(.*)", text)
    if match and match[3].startswith(("=", ">", "<")):
        signs = f"{OTHER} {EQUAL} {HOLDS} {' '.join(SIGNS)}"
        rest = match[3].lstrip("=<>")
        raise RunError(
            f"there is no sign {match[2]}{match[3][0]}",
            where=text,
            hint=f"type '{match[1]}{EQUAL}{rest}' (one of: {signs})",
        )
    return Condition(match[1], match[2], match[3]) if match else Condition("folder", PART, text)


def values(runs: list[RunRow], conditions: Iterable[Condition]) -> list[str]:
    """A line for each key that was asked to equal something: the values that the runs have there."""
    said = []
    for condition in conditions:
        each = [v for run in runs if (v := run.value(condition.key)) is not MISSING]
        found = sorted({str(one) for v in each for one in (v if condition.key == TAGS else [v])})
        if condition.sign == EQUAL and condition.wanted not in found and 0 < len(found) <= 12:
            guess = nearest(condition.wanted, found)
            said.append(
                f"{condition.key} is {', '.join(found)}" + (f"; did you mean {condition.key}={guess}?" if guess else "")
            )
    return said


def select(
    runs: list[RunRow], conditions: Iterable[Condition], sort: str | None, reverse: bool, limit: int | None
) -> list[RunRow]:
    """The first ``limit`` of the runs that meet every condition.

    Args:
        sort: a column or a key of the locked config, smallest first, and last those that lack it; by default
            the newest run comes first.

    Raises:
        RunError: a key that no run has, or a comparison that cannot be made.
    """
    kept = runs
    # Columns first: a lock is only read of the runs that they leave.
    for condition in sorted(conditions, key=lambda condition: condition.key not in COLUMNS):
        _known(condition.key, kept, str(condition))
        kept = [run for run in kept if condition.holds(run)]
    key = sort or "started"
    _known(key, kept, f"--sort {key}")
    values = {run.folder: run.value(key) for run in kept}
    lacking = [run for run in kept if values[run.folder] in (MISSING, None)]
    having = [run for run in kept if values[run.folder] not in (MISSING, None)]
    having.sort(key=lambda run: _rank(values[run.folder]), reverse=reverse == bool(sort))
    return (having + lacking)[:limit]


def _rank(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, then texts by letter."""
    number = isinstance(value, int | float)
    return (not number, value if number else 0.0, "" if number else str(value))


def _known(key: str, runs: list[RunRow], where: str) -> None:
    if not runs or key in COLUMNS or any(run.value(key) is not MISSING for run in runs):
        return
    guess = nearest(key, {**dict.fromkeys(COLUMNS), **{name: None for run in runs for name in _keys(run.config)}})
    columns = f"a column ({', '.join(COLUMNS)}) or a key of run.lock.yaml's config"
    raise RunError(
        f"no run has a key {key!r}", where=where, hint=f"did you mean {guess}? {columns}" if guess else columns
    )


def _keys(tree: dict[str, Any], before: str = "") -> Iterable[str]:
    for name, value in tree.items():
        yield f"{before}{name}"
        if isinstance(value, dict):
            yield from _keys(value, f"{before}{name}.")


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
