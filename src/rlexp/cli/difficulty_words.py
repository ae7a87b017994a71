"""The command line of ``difficulty``: Hydra's overrides, and options of its own that are written like overrides."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rlexp.compose.schema import RunSchema
from rlexp.errors import RunError, nearest

OWN = {"n": "n=8", "term": "term=correct", "at": "at=1.0", "rows": "rows=100"}
"""The options, each with an example."""
MOST = 1024
"""Completions of a prompt at most."""
USUAL = "correct"
"""The term that says what passes where it is not typed, if the reward has it."""


@dataclass(frozen=True)
class Words:
    """What was typed."""

    rest: list[str]
    """Everything that is Hydra's."""
    n: int = 8
    """Completions of each prompt."""
    term: str | None = None
    at: float = 1.0
    """The score from which a completion passes."""
    rows: int | None = None
    """The first so many training rows only."""


def read_words(arguments: Sequence[str]) -> Words:
    """The words of a command line.

    Raises:
        RunError: one has no value that it can have, or is misspelt.
    """
    groups = {field.name for field in dataclasses.fields(RunSchema)} | {"experiment", "hydra"}
    own: dict[str, str] = {}
    rest = []
    for word in arguments:
        name, sign, value = word.partition("=")
        if sign and name in OWN:
            own[name] = value
            continue
        guess = nearest(name, OWN) if sign and name.isidentifier() and name not in groups else None
        if guess:
            raise RunError(f"difficulty has no option {name}", where=word, hint=f"did you mean {guess}={value}?")
        rest.append(word)
    n, rows = _count(own, "n", MOST), _count(own, "rows", 2**31 - 1)
    return Words(rest, n or Words.n, own.get("term"), _number(own, "at", Words.at), rows)


def term_of(typed: str | None, terms: Sequence[str]) -> str:
    """The term of a reward that says which completions pass.

    Raises:
        RunError: there is no such term, or several, of which none is meant by itself.
    """
    if typed is not None and typed not in terms:
        guess = nearest(typed, terms) or (terms[0] if terms else None)
        hint = f"type term={guess}" if guess else "choose a reward: reward=format+correct"
        raise RunError(
            f"the reward has no term {typed}: {', '.join(terms) or 'none'}", where=f"term={typed}", hint=hint
        )
    found = typed or (USUAL if USUAL in terms else terms[0] if len(terms) == 1 else None)
    if found is None:
        named = f"which of {', '.join(terms)} says that a completion is right?" if terms else "the run has no reward"
        hint = f"type term={terms[0]}, or another of them" if terms else "choose a reward: reward=format+correct"
        raise RunError(named, where="term", hint=hint)
    return found


def _count(own: dict[str, str], name: str, most: int) -> int | None:
    if name not in own:
        return None
    if not own[name].isdecimal() or not 1 <= int(own[name]) <= most:
        what = f"{own[name]!r} is no number from 1 to {most}"
        raise RunError(what, where=f"{name}={own[name]}", hint=f"type {OWN[name]}")
    return int(own[name])


def _number(own: dict[str, str], name: str, default: float) -> float:
    try:
        value = float(own.get(name, default))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RunError(f"{own[name]!r} is no number", where=f"{name}={own[name]}", hint=f"type {OWN[name]}")
    return value
