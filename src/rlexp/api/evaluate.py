"""Evaluation: the one way to it, from Python and from the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlexp.api.place import alone, hidden_main, inside, own_logging, project_of, require_main
from rlexp.compose import tasks
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.compose.schema_eval import HELD_OUT, Kind, Sampled
from rlexp.compose.schema_eval import Evaluation as Typed
from rlexp.compose.second_root import Asked
from rlexp.compose.task_file import OWN
from rlexp.compose.task_run import Settled, settle, settle_all
from rlexp.console import RunConsole
from rlexp.errors import RunError, all_of
from rlexp.evaluate import evaluation, kinds, sizing, subjects
from rlexp.evaluate.evaluation import Evaluated, Plan
from rlexp.evaluate.held_out import Half
from rlexp.evaluate.subjects import Subject
from rlexp.evaluate.work import Work
from rlexp.inputs import trust
from rlexp.inputs.find import Inputs
from rlexp.inputs.prepare import prepare
from rlexp.inputs.reward_files import reward_sources
from rlexp.inputs.trust import Code
from rlexp.preflight import contamination
from rlexp.record.evaluation import FOLDER
from rlexp.record.stages import PINNED
from rlexp.tracking.beside import tell_evaluations

if TYPE_CHECKING:
    import pandas

ELSEWHERE = Path("outputs") / FOLDER
"""Where the evaluations of what no run of the project left are written."""


def plan_of(
    words: Sequence[str],
    overrides: Sequence[str],
    here: Path,
    root: Path,
    again: bool = False,
    rescore: str | None = None,
) -> Plan:
    """What is to be evaluated, checked before anything is loaded.

    Args:
        words: what is evaluated, as it is named on the command line (``evaluate.subjects``).
        overrides: ``eval=``, ``eval.KEY=``, and those of the run that models and endpoints are spoken to by.
        again: measure also what was measured before.
        rescore: options of conf/reward that score the stored samples instead; nothing is sampled.

    Raises:
        RunError: a word names nothing, a task cannot be composed, or an input is missing.
    """
    rest, asked = tasks.take(overrides)
    found = subjects.read(words, rest, here, root)
    trained = [one for one in found if one.original]
    unread = [one for one in rest if not subjects.OF_HARDWARE.match(one)]
    if unread and trained:
        raise RunError(
            "a run is evaluated as it was locked, and this would not be read",
            where=" ".join(unread),
            hint="leave it out; an evaluation reads eval=TASKS, eval.KEY=VALUE and hardware=NAME",
        )
    context = (trained or [one for one in found if not one.url] or found)[0]
    settled, typed = settle_all(asked, context.run, root)
    inputs = all_of(*(lambda one=one: _inputs(one, context, root) for one in settled))
    work = [kinds.work_of(one, has, context.run, typed.seed) for one, has in zip(settled, inputs, strict=True)]
    for one in work:
        kinds.require(one, found)
    for name in sizing.unsized(work, typed.want):
        print(f"note: eval.want does not size {name}, which has rows of its own (eval.{name}.rows)", file=sys.stderr)
    work = sizing.sized_all(work, typed.want)
    left = trained[0].original.run_dir if trained and trained[0].original else None
    folder = left / FOLDER if left and left != root / PINNED else root / ELSEWHERE
    engine = _engine(typed, found)
    shared = {one.name: _contamination(one, trained) for one in work}
    plan = Plan(work, found, folder, engine, subjects.moment(found), again, contamination=shared)
    return _rescoring(plan, rescore, context, root) if rescore else plan


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, and where its record lies."""

    file: Path
    content: dict[str, Any]
    """The record (``evaluation.json``): tasks, subjects, results, differences."""

    def table(self) -> pandas.DataFrame:
        """Every metric of every task and subject, a row each: task, subject, metric, mean, low, high and more."""
        import pandas

        rows = [
            {"task": task, "subject": subject, "metric": metric, **found}
            for task, subjects in self.content["results"].items()
            for subject, metrics in subjects.items()
            for metric, found in metrics.items()
        ]
        return pandas.DataFrame(rows)

    def differences_table(self) -> pandas.DataFrame:
        """The paired difference of every two subjects, a row each: task, metric, one, other, mean, low, high, p."""
        import pandas

        rows = [{"task": task, **one} for task, found in self.content["differences"].items() for one in found]
        return pandas.DataFrame(rows)


def evaluate(*words: str | os.PathLike[str], root: str | os.PathLike[str] | None = None, **kept: bool) -> Evaluation:
    """Evaluates as ``python -m rlexp evaluate`` does: ``api.evaluate(RUN, "eval=sums", "eval.samples=4")``.

    Args:
        words: runs, checkpoints, models, endpoints, and overrides, as typed on the command line.
        root: the project folder, or one within it; None for that of the working directory.
        kept: ``again=True`` measures also what was measured before.

    Raises:
        RunError: a word names nothing, a task cannot be composed, or an input is missing.
    """
    require_main()
    here, place = Path.cwd(), project_of(root)
    with alone(), inside(place), own_logging(), hidden_main():
        named, overrides = sort_words([os.fspath(word) for word in words], here)
        plan = plan_of(named, overrides, here, place, kept.get("again", False))
        done = evaluate_plan(plan)
        return Evaluation(done.file, done.content)


def sort_words(words: Sequence[str], here: Path) -> tuple[list[str], list[str]]:
    """(what is evaluated, overrides): a word with ``=`` is an override unless it is a folder or a URL."""
    named: list[str] = []
    overrides: list[str] = []
    for word in words:
        key = word.partition("=")[0]
        there = any((here / name).exists() for name in (word, word.rpartition("@")[0] or word))
        plain = "=" not in word or "/" in key or there
        (named if plain and not word.startswith("~") else overrides).append(word)
    return named, overrides


def _rescoring(plan: Plan, scorer: str, context: Subject, root: Path) -> Plan:
    """The plan that scores the stored samples of ``plan`` by other rewards."""
    made = []
    for work in plan.work:
        if work.settled.named.task.kind is not Kind.completions:
            what = f"{work.name} stores no completions, and --rescore scores completions"
            raise RunError(what, where=f"--rescore={scorer}", hint=f"leave {work.name} out of eval=")
        for subject in plan.subjects:
            if not plan.samples(work, subject).is_file():
                hint = "type the same without --rescore first"
                raise RunError(f"{subject.name} has no stored samples of {work.name}", f"--rescore={scorer}", hint)
        task = dataclasses.replace(work.settled.named.task, scorer=scorer, right=None, metric=None)
        settled = settle(dataclasses.replace(work.settled.named, task=task), work.run, root)
        settled = dataclasses.replace(settled, held_out=work.settled.held_out)
        run = dataclasses.replace(settled.on(context.run), places=context.run.places)
        with contextlib.redirect_stdout(sys.stderr):
            inputs = dataclasses.replace(prepare(run, root), data=work.inputs.data)
        made.append(dataclasses.replace(work, settled=settled, inputs=inputs))
    return dataclasses.replace(plan, work=made, stored=plan.work)


def evaluate_plan(
    plan: Plan,
    say: Callable[[str], None] = lambda line: None,
    counter: Callable[[int], Any] = lambda n: contextlib.nullcontext(),
) -> Evaluated:
    """Measures and writes what ``plan`` says (``evaluate.evaluation.evaluate``), and tells it to the trackers of the
    run that it is of."""
    done = evaluation.evaluate(plan, say, counter)
    trained = next((one.original for one in plan.subjects if one.original), None)
    if trained and plan.folder == trained.run_dir / FOLDER:
        tell_evaluations(trained.run, trained.run_dir, trained.root, RunConsole().warn)
    return done


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
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return prepare(run, root, model=context.url is None)
    except RunError as error:
        if not settled.named.file:
            raise
        raise RunError(
            error.what, where=f"{settled.named.file}: {error.where or settled.dataset.name}", hint=error.hint
        ) from error


def _contamination(work: Work, trained: Sequence[Subject]) -> dict[str, Any]:
    """Run -> what its training rows share with the rows of a task, those that choose among them."""
    task = work.settled.named.task
    if task.kind is Kind.lm_eval:
        return {}
    rows = {row for half in Half for row in dataclasses.replace(work, half=half).rows_or_none()}
    data = {one.inputs.data: one.name for one in trained if one.inputs and one.weights}
    looked = {
        name: contamination.look(path, work.inputs.data, task.split.name, sorted(rows)) for path, name in data.items()
    }
    return {name: found for name, found in looked.items() if not found.clean}


def _engine(typed: Typed, found: Sequence[Subject]) -> str:
    """What samples: vLLM on a GPU where it is installed."""
    if typed.engine is not Sampled.auto:
        return typed.engine.name
    from importlib.util import find_spec

    on_gpu = any(one.run.hardware.device is Device.cuda for one in found if not one.url)
    return Sampled.vllm.name if on_gpu and find_spec("vllm") else Sampled.transformers.name


def require_ready(asked: Asked, run: Run, root: Path) -> None:
    """Composes the tasks that are asked for of a run that is to be trained, and makes their inputs.

    Raises:
        RunError: one cannot be composed, or an input is missing.
    """
    settled, typed = settle_all(asked, run, root)
    subject = Subject(run.model.name, run)
    inputs = all_of(*(lambda one=one: _inputs(one, subject, root) for one in settled if one.name != HELD_OUT))
    for one, has in zip((one for one in settled if one.name != HELD_OUT), inputs, strict=True):
        work = kinds.work_of(one, has, run, typed.seed)
        kinds.require(work, [subject])
        sizing.sized_all([work], typed.want)
