"""The inputs of a run, found and checked against each other before anything heavy is imported.

Reads small files only: reward sources as syntax trees, a snapshot's description, the names in a folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp.compose import start as start_kind
from rlexp.compose.run import Run
from rlexp.errors import RunError, all_of, nearest
from rlexp.inputs import difficulty, mixture, model_files, script_params, snapshot, snapshots, start
from rlexp.inputs.reward_files import reward_sources
from rlexp.inputs.reward_rows import met_snapshot
from rlexp.inputs.reward_source import RewardSource
from rlexp.project import shipped


@dataclass(frozen=True)
class Inputs:
    """The inputs of a run on this machine."""

    data: Path
    """The snapshot's folder; may not exist yet when ``data_prepare`` can write it."""
    description: dict[str, Any] | None
    """The snapshot's description; None until it is written."""
    data_prepare: Path | None
    """The script that writes the snapshot, where it is missing; None for a mixture, which its parts make."""
    model: Path | None
    """The base model's folder; None for a hub id. Where a start is merged or is a whole model, it is that."""
    model_prepare: Path | None
    """The script that builds the model's folder, where it is missing."""
    rewards: dict[str, RewardSource]
    """Reward term -> its source."""
    filtered: difficulty.Filter | None = None
    """The training rows that ``dataset.difficulty`` keeps; None where it is not set, or there is no snapshot yet."""
    parts: dict[str, Path] = field(default_factory=dict)
    """Part of a mixture -> the script that writes its snapshot, of those that are missing."""
    start: start.Begun | None = None
    """The weights that the run begins with; None where it begins with a fresh adapter on the model it names."""

    @property
    def wanted_columns(self) -> tuple[str, ...]:
        """The columns of the rows that the rewards want."""
        return tuple(column for source in self.rewards.values() for column in source.wanted_columns)


def find_inputs(run: Run, root: Path, begun: start.Begun | None = None, model: bool = True) -> Inputs:
    """Finds every input of ``run`` under the project folder ``root`` and checks that they fit together.

    Args:
        begun: the weights it begins with, where they were found otherwise than by ``model.start``.
        model: False where the run's model is not needed: another one answers, elsewhere.

    Raises:
        RunError: an input is missing and nothing can make it, or two of them do not fit.
    """
    run = run.at(root)
    _dataset_type(run)
    script_params.require_known(run.config(), run.places)
    data = root / run.dataset.path
    description = snapshot.describe(data)
    asked, mixed = snapshots.asked(run), bool(run.dataset.parts) and run.dataset.own_place
    rewards, data_prepare, parts, (folder, model_prepare) = all_of(
        lambda: reward_sources(run),
        lambda: None if description or mixed else snapshots.script_of(asked, root, run.places),
        lambda: mixture.missing(run, root, description),
        lambda: _model(run, root) if model else (None, None),
        hint=f"mend them all; how such files look: {shipped()}",
    )
    if description is not None:
        if run.dataset.parts:
            mixture.check(run, description, root)
        snapshots.check(asked, description, root)
        _check_snapshot(run, description, rewards)
    filtered = difficulty.find(run, root / difficulty.path(run), data, description, rewards)
    rewards = {name: met_snapshot(source, description) for name, source in rewards.items()}
    begun = begun or (start.find(run, root, folder) if model else None)
    if begun and begun.model:
        folder, model_prepare = (root / begun.model).resolve(), None
    return Inputs(data, description, data_prepare, folder, model_prepare, rewards, filtered, parts, begun)


def _dataset_type(run: Run) -> None:
    wanted = run.method.dataset_type
    if run.dataset.type is wanted:
        return
    mark = f"\ntype: {wanted.name}\n"
    fitting = [name for name, path in run.places.option_files("dataset").items() if mark in path.read_text()]
    guess = nearest(run.dataset.name, fitting)
    hint = f"type dataset={guess}" if guess else f"one of: {', '.join(fitting)}"
    if run.dataset.prepare in ("local", "hub"):  # rows of the user's own: they may be of any type
        hint = f"type dataset.type={wanted.name}, where it holds such rows"
    elif run.dataset.name in fitting:
        hint = f"leave out dataset.type: {run.dataset.name} holds {wanted.name} data"
    raise RunError(
        f"{run.method.name} trains on {wanted.name} data (columns {', '.join(wanted.columns)}); "
        f"{run.dataset.name} is {run.dataset.type.name} data",
        where=f"dataset={run.dataset.name}, method={run.method.name}",
        hint=hint,
    )


def _check_snapshot(run: Run, description: dict[str, Any], rewards: dict[str, RewardSource]) -> None:
    columns = description["columns"]
    missing = [name for name in run.dataset.type.columns if name not in columns]
    if missing:
        raise RunError(
            f"{run.method.name} needs the column {missing[0]}; the snapshot has {', '.join(columns)}",
            where=f"{run.dataset.path}/{snapshot.DESCRIPTION}",
            hint="choose another dataset, or write the column in its data_prep script",
        )
    if run.held_out.rows and "test" not in description["splits"]:
        raise RunError(
            f"{run.dataset.path} has no test split to measure on; it has {', '.join(description['splits'])}",
            where="held_out.rows",
            hint="type held_out.rows=0, or have the data_prep script write a test split",
        )
    rows = mixture.train_rows(run.dataset, description)
    if (run.dataset.train_rows or 0) > rows:
        raise RunError(
            f"train_rows is {run.dataset.train_rows}, and {run.dataset.path} has {rows} rows to train on",
            where="dataset.train_rows",
            hint="leave dataset.train_rows out for all of them",
        )
    rows = min(rows, run.dataset.train_rows or rows)
    if rows < run.prompts_per_step:
        raise RunError(
            f"a step takes {run.prompts_per_step} different prompts; {run.dataset.path} has {rows} to train on",
            where="method.prompts_per_step, dataset.train_rows",
            hint=f"type method.prompts_per_step={rows}" if rows else "write a train split in the data_prep script",
        )
    if not run.method.online:
        return
    if "tools" in columns and not any("tools" in source.wanted_columns for source in rewards.values()):
        raise RunError(
            f"{run.method.name} gives the chat template no tools, and the rows have a column tools",
            where=f"{run.dataset.path}/{snapshot.DESCRIPTION}",
            hint="give the column another name: 'dataset.params.columns={other: tools}' with another dataset.name; "
            "sft, dpo, kto and orpo give the template what it holds",
        )
    for name, source in rewards.items():
        for column in source.columns:
            if column not in columns:
                guess = nearest(column, columns)
                raise RunError(
                    f"[reward.columns] the reward {name} reads the column {column}; "
                    f"{run.dataset.path} has {', '.join(columns)}",
                    where=f"{source.file}: score()",
                    hint=f"did you mean {guess}?" if guess else "leave the reward out, or choose another dataset",
                )


def _model(run: Run, root: Path) -> tuple[Path | None, Path | None]:
    if run.model.path is None:
        return None, None
    folder = run.places.path(run.model.path).resolve()
    if (folder / "config.json").is_file():
        model_files.require_plain(run.model, folder)
        return folder, None
    script = run.places.path(f"data_prep/{run.model.prepare}.py")
    if run.model.prepare and not folder.exists() and script.is_file() and run.model.path == f"models/{run.model.name}":
        return folder, script
    if (folder / start_kind.CONFIG).is_file() or (folder / start_kind.LOCK).is_file():
        raise start_kind.not_a_model(folder, run.model.path, "model.path")
    present = [os.path.dirname(name) for name in run.places.names("models/*/config.json")]
    guess = nearest(run.model.path, present)
    raise RunError(
        f"there is no model in the folder {run.model.path} (no config.json)",
        where="model.path",
        hint=f"did you mean model.path={guess}?"
        if guess
        else f"one of: {', '.join(present)}, or a Hugging Face folder",
    )
