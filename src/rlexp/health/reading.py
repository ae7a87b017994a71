"""A rule, and the reading that it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rlexp.health.window import Window


@dataclass(frozen=True)
class Reading:
    """The number a rule measured, and what to say where it is past a limit."""

    value: float
    message: str
    """The observation in one sentence, with its numbers."""
    hint: str
    """The change to make, and the words to type."""
    may_stop: bool = True
    """False where the run may still be learning, whatever the number: then the rule only warns."""


@dataclass(frozen=True)
class Rule:
    """A pure measurement of a window, and what a person needs to know when it is past its limits."""

    measure: Callable[[Window, int], Reading | None]
    """(window, steps) -> the number and its words; None while there is too little to judge, or nothing to."""
    causes: tuple[str, ...]
    """The usual causes, the likeliest first."""
    shows: tuple[str, ...]
    """The logged values to look at beside it."""
    low_is_bad: bool = False
    """The limits are floors."""
