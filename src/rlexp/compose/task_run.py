"""The data, the rewards and the sampling of an eval task as a ``Run``, so that whatever works on a run works on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rlexp.compose.methods import METHODS
from rlexp.compose.points import CommandLine
from rlexp.compose.run import Run, resolve
from rlexp.compose.schema import Dataset, DatasetType, Draw, HeldOut, Reward
from rlexp.compose.schema_eval import Kind
from rlexp.compose.tasks import HELD_OUT, Named
from rlexp.errors import RunError, nearest

METHOD_OF = {
    DatasetType.prompt_only: "grpo",
    DatasetType.preference: "dpo",
    DatasetType.prompt_completion: "sft",
    DatasetType.unpaired_preference: "kto",
}
"""Type of data -> the method that reads its rows as they are."""
EVERY_ROW = 2**31 - 1


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


def settle(named: Named, run: Run, root: Path) -> Settled:
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
    if named.name == HELD_OUT:
        reward = _reward(task.scorer, run, root, named) if task.scorer else run.reward
        own = dataclasses.replace(run.held_out, rows=rows, temperature=task.temperature, max_new_tokens=limit)
        return Settled(named, _whole(run.dataset), reward, own)
    held_out = HeldOut(rows=rows, draw=Draw.prompt_hash, temperature=task.temperature, max_new_tokens=limit)
    if task.kind is Kind.lm_eval:
        return Settled(named, run.dataset, run.reward, held_out)
    if not task.dataset:
        raise RunError(
            "the eval task names no data", where=str(named.file), hint="write dataset: NAME, an option of conf/dataset"
        )
    scorer = task.judge if task.kind is Kind.pairs else task.scorer
    typed = [f"dataset={task.dataset}", *([f"reward={scorer}"] if scorer else [])]
    nodes = _nodes(typed, root, named)
    tree = {**run.config(), "dataset": nodes["dataset"], **({"reward": nodes["reward"]} if scorer else {})}
    composed = resolve(OmegaConf.create(tree), run.model.size, run.places)
    if task.right and task.right not in composed.reward.terms:
        terms = composed.reward.terms
        guess = nearest(task.right, terms) or next(iter(terms), "NAME")
        what = f"right names {task.right}, and the task is scored by {', '.join(terms) or 'nothing'}"
        raise RunError(what, where=f"{named.file}: right", hint=f"write right: {guess}")
    return Settled(named, _whole(composed.dataset), composed.reward, held_out)


def _reward(scorer: str, run: Run, root: Path, named: Named) -> Reward:
    """The options of conf/reward, composed for a run."""
    tree = {**run.config(), "reward": _nodes([f"reward={scorer}"], root, named)["reward"]}
    return resolve(OmegaConf.create(tree), run.model.size, run.places).reward


def _whole(dataset: Dataset) -> Dataset:
    """The data set without what a training leaves out of it."""
    return dataclasses.replace(dataset, train_rows=None, difficulty=None)


def _nodes(typed: Sequence[str], root: Path, named: Named) -> dict[str, Any]:
    """The groups that were composed, not yet resolved: they may refer to the model."""
    try:
        config = CommandLine(root, list(typed)).config
    except RunError as error:
        raise RunError(error.what, where=f"{named.file}: {error.where}", hint=error.hint) from error
    return {name: OmegaConf.to_container(config[name], resolve=False) for name in ("dataset", "reward")}
