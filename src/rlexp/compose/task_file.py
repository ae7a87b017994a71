"""A file of an eval task (``eval/NAME.yaml``), read into its schema; and the tasks that no file holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from rlexp.compose import second_root
from rlexp.compose.config_file import Scene, explain_yaml
from rlexp.compose.places import Places
from rlexp.compose.run import Run
from rlexp.compose.schema import HeldOut
from rlexp.compose.schema_eval import HELD_OUT, Kind, Task
from rlexp.errors import RunError, nearest

ROOT, FOLDER = "eval", "eval"
HELD_OUT_PAIRS = f"{HELD_OUT}_pairs"
"""The task of the answers in a data set's own held-out rows: ``held_out.*`` of the run says both."""
OWN = (HELD_OUT, HELD_OUT_PAIRS)
"""What a run is evaluated on where no task is named: the second only where its data is preference data."""
LM_EVAL, LM_EVAL_FOLDER = "lm_eval:", f"{FOLDER}/lm_eval"
"""Stands before the name of a task of lm-evaluation-harness."""
NAME = re.compile(r"[\w-]+|lm_eval:[\w.-]+")
LISTED = 12
"""Tasks that a message lists."""


@dataclass(frozen=True)
class Named:
    """A task under its name, as its file says it with what was typed."""

    name: str
    task: Task
    file: str | None = None
    """``eval/NAME.yaml`` from its place; None of a task that no file holds."""
    place: Path = field(default_factory=Path)
    """The place that holds the file."""
    suite: str | None = None
    """The suite that it came from."""


def present(places: Places) -> list[str]:
    """The tasks that there are: those of files, and those of a run's own held-out rows."""
    local = [f"{LM_EVAL}{Path(name).stem}" for name in places.names(f"{LM_EVAL_FOLDER}/*.yaml")]
    names = [*OWN, *(Path(name).stem for name in places.names(f"{FOLDER}/*.yaml")), *local]
    return [name for name in dict.fromkeys(names) if NAME.fullmatch(name)]


def listed(places: Places) -> str:
    """The tasks in a message, the first of them where there are many."""
    names = [*present(places), f"{LM_EVAL}NAME"]
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def read(name: str, run: Run) -> Named:
    places, own = run.places, run.held_out
    if name in OWN:
        kind = Kind.pairs if name == HELD_OUT_PAIRS else Kind.completions
        task = Task(kind=kind, about="held-out rows of the data set", rows=own.rows or HeldOut().rows)
        task.temperature, task.max_new_tokens = own.temperature, own.max_new_tokens
        return Named(name, task)
    if name.startswith(LM_EVAL):
        task = Task(kind=Kind.lm_eval, about="a task of lm-evaluation-harness", rows=None)
        task.lm_eval.task = name.removeprefix(LM_EVAL)
        return Named(name, task)
    file = f"{FOLDER}/{name}.yaml"
    path = places.path(file)
    if not path.is_file():
        guess = nearest(name, present(places))
        hint = f"{f'did you mean {ROOT}={guess}? ' if guess else ''}one of: {listed(places)}"
        raise RunError(f"there is no eval task {name!r} (no {file})", where=f"{ROOT}={name}", hint=hint)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeError) as error:
        raise explain_yaml(error, Scene(file=path)) from error
    if not isinstance(tree, dict):
        raise RunError("an eval task is a mapping of keys", where=file, hint="write version: 1, dataset: NAME and more")
    if "version" not in tree:
        what = "the eval task has no version, which stands in every evaluation"
        hint = "write version: 1, and raise it whenever the task measures something else"
        raise RunError(what, where=file, hint=hint)
    return Named(name, typed(Task, tree, [], file, places), file, places.holder(file))


def typed(schema: type[Any], tree: dict[str, Any], settings: Sequence[str], where: str, places: Places) -> Any:
    """A tree with settings over it, as a schema's dataclass, every number in its range.

    Args:
        settings: ``KEY=VALUE``, in Hydra's grammar.
        where: what holds the tree, for messages.

    Raises:
        RunError: a key is unknown, or a value has another type or range.
    """
    try:
        return second_root.composed(schema, _plain(tree), settings, places)
    except RunError as error:
        raise _said(error, where) from error


def _said(error: RunError, where: str) -> RunError:
    """An error of a key, where it stands: in a file, or behind ``eval.`` on the command line."""
    hint = error.hint or "docs/evaluation.md lists the keys of an eval task"
    if not where.endswith(".yaml"):
        what = error.what.removeprefix(f"{error.where} ")  # said of a number: "rows is 0"
        what = what if what == error.what else f"{where}.{error.where} {what}"
        return RunError(what, f"{where}.{error.where}", hint.replace("type ", f"type {where}.", 1))
    several = error.where == "pass_at"
    written = re.sub(r"type ([\w.]+)=(\S+)", lambda m: f"write {m[1]}: {f'[{m[2]}]' if several else m[2]}", hint)
    return RunError(error.what, f"{where}: {error.where}", written)


def _plain(tree: Any) -> Any:
    """The tree with enums by their names, as OmegaConf reads them."""
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items()}
    return tree.name if isinstance(tree, Enum) else tree
