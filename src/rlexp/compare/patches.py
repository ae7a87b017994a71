"""The patches that were active in one of two runs only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rlexp.record.finished import FinishedRun

APPLIED = "applied"
SOURCES = ("rollout", "method", "hardware", "model", "software")
"""Groups of the facts that decide whether a run needs a patch; ``rollout.patches`` decides for all of them."""


def added(a: FinishedRun, b: FinishedRun, facts_a: dict[str, Any], facts_b: dict[str, Any]) -> tuple[dict, dict]:
    """The facts of two runs with a branch ``patches``: patch -> status, of those applied in one of the two only.

    Without the branch where one run was recorded before there was such a record.
    """
    one, two = ({n: p["status"] for n, p in run.manifest.get("patches", {}).items()} for run in (a, b))
    if not one or not two:
        return facts_a, facts_b
    names = [name for name in {**one, **two} if (one.get(name) == APPLIED) != (two.get(name) == APPLIED)]
    only = [{name: side[name] for name in names if name in side} for side in (one, two)]
    return {**facts_a, "patches": only[0]}, {**facts_b, "patches": only[1]}


def follows(found: Iterable[str]) -> str:
    """The difference that brought along one in the patches: of these keys that differ, the first of SOURCES."""
    keys = sorted(found, key=lambda key: key != "rollout.patches")
    return next((key for group in SOURCES for key in keys if key.startswith(f"{group}.")), "")
