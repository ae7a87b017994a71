"""What changed between two runs, in words: whether a difference in their results can be put down to one thing."""

from __future__ import annotations

from typing import Any

from rlexp.compare.changes import Change, big_variables
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import main_metric

MEASURED_BY = (
    *(f"held_out.{key}" for key in ("rows", "draw", "temperature", "max_new_tokens")),
    "dataset.snapshot",
)
"""Keys that the held-out numbers depend on besides the weights and the reward."""


def verdict(found: list[Change], same_identity: bool) -> str:
    """One sentence says what the differences mean for reading the results.

    Args:
        found: the answer of ``changes``.
        same_identity: whether both locks name the same optimisation problem.
    """
    big = big_variables(found)
    areas = ", ".join(dict.fromkeys(change.area for change in found if not change.big and not change.follows))
    identity = "the identity is the same" if same_identity else "the identity is another"
    if not found:
        return "nothing changed: the same experiment, with the same seed, code and machine"
    if not big:
        return f"no variable changed that could change what is learned; only: {areas} ({identity})"
    named = ", ".join(_named(variable, found) for variable in big)
    if len(big) == 1:
        also = " (the seed differs too)" if "seed" in areas.split(", ") else ""
        message = f"one variable changed: {named}; a difference in the results is its doing, or the seed's{also}"
    else:
        message = (
            f"warning: {len(big)} variables changed at once: {named}; change one a round, to know which one it was"
        )
    return f"{message} ({identity})" if same_identity else message


def _named(variable: str, found: list[Change]) -> str:
    """The variable, with what of it changed where its name alone does not say it."""
    parts = [change for change in found if change.variable == variable]
    if variable in ("method", "template", parts[0].key) or len(parts) > 3:
        return variable
    return f"{variable} ({', '.join(_part(change) for change in parts)})"


def _part(change: Change) -> str:
    """The key of a difference without the variable it belongs to."""
    below = change.key.split(".")[3 if change.area == "reward" else 1 :]
    return ".".join(below) or ("added" if change.a is None else "removed")


def held_out(a: FinishedRun, b: FinishedRun, found: list[Change]) -> str:
    """One line with the main held-out result of both runs; empty where one has none."""
    one, two = main_metric(a.manifest), main_metric(b.manifest)
    if not one or not two:
        return ""
    if one[0] != two[0]:
        return f"held-out  A {one[0]} {_score(one[1])}  B {two[0]} {_score(two[1])}  (not comparable)"
    other = [c.key for c in found if c.key in MEASURED_BY or (c.area == "reward" and one[0] == "reward")]
    footnote = f"  (measured differently: {', '.join(other)})" if other else ""
    return f"held-out {one[0]}  A {_score(one[1])}  B {_score(two[1])}{footnote}"


def _score(row: dict[str, Any]) -> str:
    error = f" ± {1.96 * row['standard_error'][1]:.3f}" if "standard_error" in row else ""
    return f"{row['before']:.3f} -> {row['after']:.3f}{error}"
