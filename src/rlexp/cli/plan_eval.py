"""What ``plan`` says of measuring: the held-out rows and the tasks of ``eval=``, and what so many of them can see."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rlexp.compose.run import Run
from rlexp.compose.schema_eval import HELD_OUT, Kind
from rlexp.compose.second_root import Asked
from rlexp.compose.task_run import Settled, settle_all
from rlexp.errors import RunError
from rlexp.evaluate import sizing
from rlexp.evaluate.held_out import Half, rows_of
from rlexp.evaluate.work import Work
from rlexp.inputs import snapshot
from rlexp.inputs.find import Inputs
from rlexp.inputs.reward_files import reward_sources

Rows = list[tuple[str, str]]


def rows(run: Run, inputs: Inputs, asked: Asked, root: Path) -> Rows:
    """The held-out rows, where there are some, and the tasks that are asked for.

    Raises:
        RunError: a task cannot be composed.
    """
    apart = run.held_out.rows and HELD_OUT not in asked.names
    settled = settle_all(Asked((HELD_OUT,)), run, root)[0] if apart else []
    wanted, typed = settle_all(asked, run, root) if asked.names else ([], None)
    settled += wanted
    want = typed.want if typed else None
    names = ["held out" if one.name == HELD_OUT else f"eval {one.name}" for one in settled]
    chosen = [("best", _choice(run))] if run.held_out.every else []
    return chosen + [
        (name, _words(one, run, inputs, root, want if one in wanted else None))
        for name, one in zip(names, settled, strict=True)
    ]


def _choice(run: Run) -> str:
    """How a checkpoint will be chosen."""
    own = run.held_out
    rows = "the held-out rows that do not report" if own.task is None else f"the rows of {own.task} that do not report"
    kept = f"{own.keep} of the highest are kept for it" if own.keep else "the one that would be chosen is kept"
    steps = run.arguments["max_steps"]
    when = f"every {own.every} steps" if not 0 < steps < own.every else "of what it begins with and what it leaves"
    return f"chosen {when} by {own.metric} of {rows}; {kept}"


def _words(settled: Settled, run: Run, inputs: Inputs, root: Path, want: float | None) -> str:
    task = settled.named.task
    if task.kind is Kind.lm_eval:
        rows = f"{task.rows} of its rows at most" if task.rows else "all of its rows"
        return f"lm-evaluation-harness: {task.lm_eval.task}, {rows}; what they can see is known once it was measured"
    sources = inputs.rewards if settled.name == HELD_OUT else reward_sources(settled.on(run))
    if want and snapshot.describe(root / settled.dataset.path) is not None:
        own = dataclasses.replace(inputs, data=root / settled.dataset.path, rewards=sources)
        settled = sizing.sized(Work(settled, own, run, run.seed), want).settled
        task = settled.named.task
    elif want:
        return f"as many prompts as a difference of {want:g} takes (data not made yet)"
    number = _rows(settled, run, root)
    count = (
        f"{number} prompt{'s' * (number != 1)}"
        if number is not None
        else f"at most {task.rows or 'all'} prompts (data not made yet)"
    )
    samples = f", {task.samples} samples each" if task.samples > 1 else ", one sample each"
    smallest = sizing.before(settled, sources, number or task.rows or 0)
    if smallest is None:
        return f"{count}{samples}"
    return f"{count}{samples}: differences from {smallest.value:.2f} on are seen at 80% power, at the widest spread"


def _rows(settled: Settled, run: Run, root: Path) -> int | None:
    """The rows that are measured; None while there is no snapshot."""
    folder = root / settled.dataset.path
    if snapshot.describe(folder) is None:
        return None
    try:
        return len(rows_of(settled.on(run), folder, Half.report, settled.named.task.split.name))
    except RunError:
        return 0
