"""What checkpoints are measured on while a run trains: the half ``select`` of its own held-out rows, or of the rows of
another task (``held_out.task``), with that task's rewards."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlexp.backend import dataset, ranks
from rlexp.backend.loaded import Loaded
from rlexp.backend.prompts import prefill_of
from rlexp.compose import tasks
from rlexp.compose.run import Run
from rlexp.compose.schema_eval import HELD_OUT, Kind
from rlexp.compose.second_root import Asked
from rlexp.compose.task_run import settle
from rlexp.compose.validate_data import require_metric
from rlexp.errors import RunError
from rlexp.evaluate import measure
from rlexp.evaluate.held_out import Half, rows_of
from rlexp.evaluate.measure import Measured
from rlexp.evaluate.transformers_sampler import TransformersSampler
from rlexp.evaluate.work import Work
from rlexp.inputs.prepare import prepare
from rlexp.reward.rubric import Rubric, workers_for


def task_of(run: Run, root: Path) -> Work | None:
    """The task of ``held_out.task`` with its inputs, made where they are missing; None where the run's own rows choose.

    Raises:
        RunError: there is no such task, it is none of completions, an input is missing, or ``held_out.metric`` names
            none of its terms.
    """
    if not run.held_out.every or run.held_out.task in (None, HELD_OUT):
        return None
    name = str(run.held_out.task)
    try:
        named, _ = tasks.read(Asked((name,)), run)
    except RunError as error:
        raise RunError(error.what, where=f"held_out.task={name}", hint=error.hint) from error
    if len(named) > 1 or named[0].task.kind is not Kind.completions:
        raise RunError(
            f"checkpoints are chosen by one task of completions, and {name} is of another kind",
            where=f"held_out.task={name}",
            hint="name another task, or leave it out: the held-out rows choose then",
        )
    settled = settle(named[0], run, root)
    require_metric(run.held_out.metric, settled.reward.terms)
    with contextlib.redirect_stdout(sys.stderr):
        inputs = prepare(settled.on(run), root)
    return Work(settled, inputs, run, run.seed, Half.select)


def measuring(
    loaded: Loaded, task: Work | None, rubric: Rubric, running: contextlib.ExitStack, trainer: Any
) -> Callable[[], Measured] | None:
    """Measures the weights as they are; None where nothing is measured on the way.

    Args:
        task: ``task_of``.
        rubric: of the run's own reward.
        running: ends the workers of the task's.
    """
    run, metric = loaded.run, loaded.run.held_out.metric
    if not run.held_out.every or not (run.held_out.rows or task):
        return None
    of_task = task.settled.on(run) if task else run
    inputs = task.inputs if task else loaded.inputs
    places = task.rows if task else rows_of(run, inputs.data, Half.select)
    rows = dataset.load(of_task, inputs.data, "test", places, inputs.wanted_columns)
    if task:
        processes = 0 if ranks.current().number else run.hardware.reward_workers
        workers = running.enter_context(workers_for(of_task.reward, inputs.rewards, processes))
        begun = prefill_of(of_task, loaded.tokenizer, inputs, rows)
        rubric = Rubric(of_task.reward, inputs.rewards, workers, prefill=begun)

    def measured() -> Measured:
        return ranks.current().from_first(alone)

    def alone() -> Measured:
        sampler = TransformersSampler(of_task, trainer.model, loaded.tokenizer)
        found = measure.measure(of_task, sampler, rubric, rows)
        return Measured(metric, found.scores.get(metric, [None] * len(found.prompts)), found.means)

    return measured
