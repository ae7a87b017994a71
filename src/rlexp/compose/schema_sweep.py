"""What is typed about a sweep, a second root beside its points: ``-m method.beta=0,0.04 sweep.workers=2``.

No lock of a point knows of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rlexp.compose.places import Places
from rlexp.compose.ranges import COUNT, ranged
from rlexp.compose.second_root import SecondRoot, composed
from rlexp.errors import RunError

ROOT = "sweep"


@dataclass
class Sweep:
    """What is typed about a sweep."""

    workers: int | None = ranged(None, COUNT)
    """Points at once; null: one a GPU, one on a CPU."""
    into: str | None = None
    """The folder of a sweep that goes on, or grows by the points that are typed."""
    skip_impossible: bool = False
    """Leaves points out that cannot be, and names them, instead of refusing the sweep."""


SWEEP = SecondRoot(ROOT, "the points", "a sweep", "a sweep", "workers", re.compile(r"(?!)"), f"{ROOT}.KEY=VALUE")


def take(overrides: Sequence[str], places: Places) -> tuple[list[str], Sweep, tuple[str, ...]]:
    """Takes ``sweep.KEY=`` out of the overrides.

    Args:
        places: of the project, for what a wrong key is answered with.

    Returns:
        (the other overrides, what was typed, how it was typed).

    Raises:
        RunError: there is no such key, or a value has another type or range.
    """
    keys = ", ".join(f"{ROOT}.{name}" for name in Sweep.__dataclass_fields__)
    if bare := [one for one in overrides if one.partition("=")[0].lstrip("+~") == ROOT]:
        raise RunError(f"{ROOT}= holds keys and is none itself", where=bare[0], hint=f"type one of: {keys}")
    for one in overrides:
        key, _, raw = one.lstrip("+~").partition("=")
        if key.startswith(f"{ROOT}.") and (one.startswith("~") or not raw):
            raise RunError(f"{key} has no value", where=one, hint=f"type {key}=VALUE, or leave it out")
    rest, asked = SWEEP.take(overrides)
    try:
        return rest, composed(Sweep, {}, asked.settings, places), asked.typed
    except RunError as error:
        hint = re.sub(r"^(type |did you mean )", rf"\1{ROOT}.", error.hint) if error.hint else f"one of: {keys}"
        raise RunError(error.what, f"{ROOT}.{error.where}", hint) from error
