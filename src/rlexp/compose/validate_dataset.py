"""Refuses a data set by its values. Pure."""

from __future__ import annotations

from rlexp.errors import RunError


def difficulty_of(bounds: list[float] | None) -> None:
    """Checks that pass rates can lie between two bounds.

    Raises:
        RunError: they are not two, no shares, or the lower one is above the other.
    """
    if bounds is None or (len(bounds) == 2 and 0 <= bounds[0] <= bounds[1] <= 1):
        return
    shown = ", ".join(f"{bound:g}" for bound in bounds)
    raise RunError(
        f"dataset.difficulty is [{shown}]: it takes the lowest and the highest pass rate of the rows to train on, two "
        "numbers from 0 to 1",
        where="dataset.difficulty",
        hint="type dataset.difficulty=[0.1,0.9], or dataset.difficulty=null for every row",
    )
