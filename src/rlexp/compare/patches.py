"""The patches that were active in one of two runs only."""

from __future__ import annotations

from typing import Any

from rlexp.record.finished import FinishedRun

APPLIED = "applied"


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
