"""What ``plan`` says of time: an estimate from runs of this project, or that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.inputs.find import Inputs
from rlexp.preflight.smoke import passes
from rlexp.record import pace
from rlexp.record.pace import Pace, Seen


def steps(run: Run, inputs: Inputs) -> int | None:
    """The optimizer steps of a run; None while there are no rows to count."""
    rows = passes.rows(run, inputs)
    return passes.steps_of(run, rows) if rows or run.arguments["max_steps"] > 0 else None


def expected(run: Run, inputs: Inputs, root: Path, known: Sequence[Seen]) -> Pace | None:
    """What is expected of a run, its smoke among its steps; None where that is not known.

    Args:
        known: the runs of this project (``pace.seen``).
    """
    own = steps(run, inputs)
    if own is None or not known:
        return None
    smoke = run.preflight.smoke_steps if passes.due(run, passes.found(run, inputs, root)) else 0
    return pace.expected(run, own + smoke, known)


def words(found: Pace | None) -> str:
    """The estimate of a run in one line."""
    if found is None:
        return pace.UNKNOWN
    return f"about {passes.duration(found.seconds())}: {short_step(found)} a step ({found.source})"


def short(found: Pace | None, warm: bool) -> str:
    """The estimate of a point in a cell of a table."""
    return "unknown" if found is None else f"{passes.duration(found.seconds(warm))} ({found.source})"


def short_step(found: Pace) -> str:
    """The seconds of a step."""
    return f"{found.step:.2g} s"


def to_json(found: Pace | None, warm: bool = False) -> dict[str, Any] | None:
    """The estimate as JSON values."""
    if found is None:
        return None
    return {
        "seconds": round(found.seconds(warm), 1),
        "step_s": round(found.step, 6),
        "steps": found.steps,
        "runs": found.runs,
        "similar": found.similar,
        "warm": warm,
    }
