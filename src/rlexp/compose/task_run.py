"""The data, the rewards and the sampling of an eval task as a ``Run``, so that whatever works on a run works on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rlexp.compose.methods import METHODS
from rlexp.compose.points import CommandLine
from rlexp.compose.run import Run, resolve
from rlexp.compose.schema import Dataset, DatasetType, Draw, HeldOut, Reward
from rlexp.compose.schema_eval import Evaluation, Kind
from rlexp.compose.second_root import Asked
from rlexp.compose.task_file import OWN, Named
from rlexp.compose.tasks import read
from rlexp.errors import RunError, all_of, nearest

METHOD_OF = {
    DatasetType.prompt_only: "grpo",
    DatasetType.preference: "dpo",
    DatasetType.prompt_completion: "sft",
    DatasetType.unpaired_preference: "kto",
}
"""Type of data -> the method that reads its rows as they are."""
EVERY_ROW = 2**31 - 1
OF_SEVERAL, OF_LENGTH = ("pass@", "pass^", "majority@"), ("tokens", "truncated", "empty")
OF_PAIRS = (
    *("accuracy", "margin", "accuracy_per_token", "margin_per_token", "chosen_logp", "rejected_logp"),
    *("completion_logp", "desirable_logp", "undesirable_logp"),
)
"""The metrics of each kind: of several samples, of every completion, of pairs (a test holds them against the kinds)."""


@dataclass(frozen=True)
class Settled:
    """A task with the options that it names, composed."""

    named: Named
    dataset: Dataset
    reward: Reward
    held_out: HeldOut
    """Its rows and its sampling, in the words of a run."""

    @property
    def name(self) -> str:
        """The task's name."""
        return self.named.name

    @property
    def right(self) -> str | None:
        """The term that says whether a completion is right: the one that the task names, else ``correct``."""
        named = self.named.task.right
        return named or ("correct" if "correct" in self.reward.terms else None)

    @property
    def metrics(self) -> list[str] | None:
        """What is measured of it; None of a task of lm-evaluation-harness, which says it by itself."""
        task = self.named.task
        if task.kind is Kind.lm_eval:
            return None
        if task.kind is Kind.pairs:
            return [*OF_PAIRS, *(("win_rate", "judge_agrees") if task.judge else ())]
        of_right = [f"{name}{k}" for k in task.pass_at if 1 < k <= task.samples for name in OF_SEVERAL]
        right = ["accuracy", *of_right] if self.right else []
        return ["reward", *self.reward.terms, *right, *OF_LENGTH]

    def on(self, run: Run) -> Run:
        """The run of a model with the task's data, rewards and sampling: what is measured of it."""
        system = self.named.task.system_prompt
        model = run.model if system is None else dataclasses.replace(run.model, system_prompt=system)
        return dataclasses.replace(
            run,
            model=model,
            method=METHODS[METHOD_OF[self.dataset.type]],
            dataset=self.dataset,
            reward=self.reward,
            held_out=self.held_out,
            prompts_per_step=1,
        )


def settle_all(asked: Asked, run: Run, root: Path) -> tuple[list[Settled], Evaluation]:
    """The tasks that are asked for, composed, and what was typed for all of them.

    Raises:
        RunError: one cannot be composed.
    """
    named, typed = read(asked, run)
    return all_of(*(lambda one=one: settle(one, run, root) for one in named)), typed


def settle(named: Named, run: Run, root: Path) -> Settled:
    """Composes what a task names, and checks that it measures what speaks for it.

    Args:
        run: the one that is evaluated, whose rewards and lengths count where the task names none.
        root: the project's folder.

    Raises:
        RunError: an option is none, it names no data, or its metric is none.
    """
    settled = _settled(named, run, root)
    metric, known = named.task.metric, settled.metrics
    if metric and known is not None and metric not in known:
        where = f"{named.file or f'eval.{named.name}'}: metric"
        hint = f"write metric: {nearest(metric, known) or known[0]} (one of: {', '.join(known)})"
        raise RunError(f"{named.name} measures no {metric!r}", where=where, hint=hint)
    return settled


def _settled(named: Named, run: Run, root: Path) -> Settled:
    """Composes what a task names.

    Args:
        run: the one that is evaluated, whose rewards and lengths count where the task names none.
        root: the project's folder.

    Raises:
        RunError: an option is none, or names no data.
    """
    task = named.task
    limit = task.max_new_tokens or run.held_out.max_new_tokens
    rows = task.rows or EVERY_ROW
    scorer = task.judge if task.kind is Kind.pairs else task.scorer
    unscored = dataclasses.replace(run.reward, terms={})
    if named.name in OWN:
        own = dataclasses.replace(run.held_out, rows=rows, temperature=task.temperature, max_new_tokens=limit)
        reward = run.reward if task.kind is Kind.completions else unscored
        if scorer:
            reward = _composed([f"reward={scorer}"], run, root, named).reward
        return Settled(named, _whole(run.dataset), reward, own)
    held_out = HeldOut(rows=rows, draw=Draw.prompt_hash, temperature=task.temperature, max_new_tokens=limit)
    if task.kind is Kind.lm_eval:
        if not task.lm_eval.task:
            hint = "write lm_eval: {task: NAME}, or type eval=lm_eval:NAME"
            raise RunError("the eval task names no task of the harness", where=str(named.file), hint=hint)
        return Settled(named, run.dataset, unscored, held_out)
    if not task.dataset:
        raise RunError(
            "the eval task names no data", where=str(named.file), hint="write dataset: NAME, an option of conf/dataset"
        )
    typed = [f"dataset={task.dataset}", *([f"reward={scorer}"] if scorer else [])]
    composed = _composed(typed, run, root, named)
    reward = unscored if task.kind is Kind.pairs and not scorer else composed.reward
    if task.right and task.right not in reward.terms:
        guess = nearest(task.right, reward.terms) or next(iter(reward.terms), "NAME")
        what = f"right names {task.right}, and the task is scored by {', '.join(reward.terms) or 'nothing'}"
        raise RunError(what, where=f"{named.file}: right", hint=f"write right: {guess}")
    return Settled(named, _whole(composed.dataset), reward, held_out)


def _whole(dataset: Dataset) -> Dataset:
    """The data set without what a training leaves out of it."""
    return dataclasses.replace(dataset, train_rows=None, difficulty=None)


def _require_closed(config: DictConfig, group: str, option: str) -> None:
    """Checks that an option leaves nothing for the command line to say, which an evaluation does not read.

    Raises:
        RunError: it does.
    """
    if missing := sorted(OmegaConf.missing_keys(config[group])):
        one = option.partition("+")[0]
        raise RunError(
            f"the option {option} leaves {missing[0]} open",
            where=f"{group}={option}",
            hint=f"write an option of your own, conf/{group}/my_{one}.yaml: defaults: [{one}, _self_], then that key; "
            f"and name my_{one} in the task",
        )


def _composed(typed: Sequence[str], run: Run, root: Path, named: Named) -> Run:
    """The run with the groups that a task names: they may refer to its model.

    Raises:
        RunError: one is no option, or leaves something open, which no evaluation can type.
    """
    names = [one.partition("=")[0] for one in typed]
    try:
        config = CommandLine(root, list(typed)).config
        for one in typed:
            _require_closed(config, *one.split("="))
        nodes = {name: OmegaConf.to_container(config[name], resolve=False) for name in names}
        return resolve(OmegaConf.create({**run.config(), **nodes}), run.model.size, run.places)
    except RunError as error:
        where = f"{named.file or f'eval={named.name}'}: {error.where}"
        raise RunError(error.what, where=where, hint=error.hint) from error
