"""Evaluation: the one way to it, from Python and from the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlexp.compose import tasks
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.compose.schema_eval import Evaluation, Kind, Sampled
from rlexp.compose.task_run import Settled, settle
from rlexp.compose.tasks import HELD_OUT, OWN, Asked
from rlexp.errors import RunError, all_of
from rlexp.evaluate import evaluation, kinds, sizing, subjects
from rlexp.evaluate.evaluation import Evaluated, Plan
from rlexp.evaluate.subjects import Subject
from rlexp.evaluate.work import Work
from rlexp.inputs import trust
from rlexp.inputs.find import Inputs
from rlexp.inputs.prepare import prepare
from rlexp.inputs.reward_files import reward_sources
from rlexp.inputs.trust import Code
from rlexp.record.evaluation import FOLDER

ELSEWHERE = Path("outputs") / FOLDER
"""Where the evaluations of what no run of the project left are written."""


def plan_of(words: Sequence[str], overrides: Sequence[str], here: Path, root: Path, again: bool = False) -> Plan:
    """What is to be evaluated, checked before anything is loaded.

    Args:
        words: what is evaluated, as it is named on the command line (``evaluate.subjects``).
        overrides: ``eval=``, ``eval.KEY=``, and those of the run that models and endpoints are spoken to by.
        again: measure also what was measured before.

    Raises:
        RunError: a word names nothing, a task cannot be composed, or an input is missing.
    """
    rest, asked = tasks.take(overrides)
    found = subjects.read(words, rest, here, root)
    trained = [one for one in found if one.original]
    unread = [one for one in rest if not subjects.OF_HARDWARE.match(one)]
    if unread and trained:
        names = ", ".join(tasks.present(trained[0].run.places))
        raise RunError(
            "a run is evaluated as it was locked, and this would not be read",
            where=" ".join(unread),
            hint=f"leave it out; an evaluation reads eval=TASK ({names}), eval.KEY=VALUE and hardware=NAME",
        )
    context = (trained or [one for one in found if not one.url] or found)[0]
    settled, typed = settle_all(asked, context.run, root)
    inputs = all_of(*(lambda one=one: _inputs(one, context, root) for one in settled))
    work = [Work(one, has, context.run, typed.seed) for one, has in zip(settled, inputs, strict=True)]
    for one in work:
        kinds.require(one, found)
    if typed.want:
        work = [one if one.settled.named.task.kind is Kind.lm_eval else sizing.sized(one, typed.want) for one in work]
    folder = trained[0].original.run_dir / FOLDER if trained and trained[0].original else root / ELSEWHERE
    engine = _engine(typed, found)
    return Plan(work, found, folder, engine, subjects.moment(found), again)


def settle_all(asked: Asked, run: Run, root: Path) -> tuple[list[Settled], Evaluation]:
    """The tasks that are asked for, composed, and what was typed for all of them.

    Raises:
        RunError: one cannot be composed.
    """
    named, typed = tasks.read(asked, run)
    return all_of(*(lambda one=one: settle(one, run, root) for one in named)), typed


def evaluate_plan(plan: Plan, say: Callable[[str], None], counter: Callable[[int], Any]) -> Evaluated:
    """Measures and writes what ``plan`` says (``evaluate.evaluation.evaluate``)."""
    return evaluation.evaluate(plan, say, counter)


def _inputs(settled: Settled, context: Subject, root: Path) -> Inputs:
    """The data and the rewards of a task; of a run's own rows those that it was locked with."""
    run = settled.on(context.run)
    if settled.name in OWN and context.original and context.inputs:
        if settled.name == HELD_OUT:
            return context.inputs
        judges = reward_sources(run)
        trust.require([Code(source.path) for source in judges.values()], run.places)
        return dataclasses.replace(context.inputs, rewards=judges)
    if settled.named.task.kind is Kind.lm_eval:
        run = dataclasses.replace(run, reward=dataclasses.replace(run.reward, terms={}))
    with contextlib.redirect_stdout(sys.stderr):
        return prepare(run, root, model=context.url is None)


def _engine(typed: Evaluation, found: Sequence[Subject]) -> str:
    """What samples: vLLM on a GPU where it is installed."""
    if typed.engine is not Sampled.auto:
        return typed.engine.name
    from importlib.util import find_spec

    on_gpu = any(one.run.hardware.device is Device.cuda for one in found if not one.url)
    return Sampled.vllm.name if on_gpu and find_spec("vllm") else Sampled.transformers.name
