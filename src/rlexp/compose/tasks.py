"""Eval tasks: ``eval=a+b`` and ``eval.KEY=VALUE`` among the overrides, and the files that they name.

They are a second root, composed beside the run's tree: taken from the overrides before Hydra reads them, so that no
lock of a run and no identity knows of an evaluation that comes after it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rlexp.compose import task_file
from rlexp.compose.run import Run
from rlexp.compose.schema import DatasetType
from rlexp.compose.schema_eval import HELD_OUT, Evaluation, Kind, Task
from rlexp.compose.second_root import Asked, SecondRoot
from rlexp.compose.task_file import LM_EVAL, NAME, OWN, ROOT, Named, listed, present
from rlexp.errors import RunError, nearest

EVAL = SecondRoot(
    ROOT,
    "eval tasks",
    "an eval task",
    "an evaluation",
    HELD_OUT,
    NAME,
    f"{ROOT}=NAME, {ROOT}=a+b or {ROOT}={LM_EVAL}NAME",
)


def take(overrides: Sequence[str]) -> tuple[list[str], Asked]:
    """Takes ``eval=`` and ``eval.KEY=`` out of the overrides (``SecondRoot.take``)."""
    return EVAL.take(overrides)


def read(asked: Asked, run: Run) -> tuple[list[Named], Evaluation]:
    """The tasks that are asked for, those of suites among them, with what was typed.

    Args:
        run: says where ``eval/`` is looked up, the name of the model's option, which a suite may go by, and the
            held-out rows.

    Returns:
        (tasks, what was typed for all of them).

    Raises:
        RunError: there is no such task or key, a value has another type or range.
    """
    names, places = asked.names or OWN[: 1 + (run.dataset.type is DatasetType.preference)], run.places
    found: list[Named] = []
    for name in names:
        found += _expanded(name, run, None, ())
    of_task: dict[str, list[str]] = {}
    general = []
    known = [one.name for one in found]
    for setting in asked.settings:
        key = setting.partition("=")[0]
        head, dot, _ = key.partition(".")
        if not dot:
            general.append(setting)
        elif head in known:
            of_task.setdefault(head, []).append(setting.removeprefix(f"{head}."))
        else:
            guess = nearest(head, known) or known[0]
            hint = f"type {ROOT}={head} too" if head in present(places) else f"type {ROOT}.{guess}.KEY=VALUE"
            raise RunError(f"no task {head!r} is evaluated", where=f"{ROOT}.{setting}", hint=hint)
    settings = task_file.typed(Evaluation, {}, general, ROOT, places)
    whole = {name: getattr(settings, name) for name in ("rows", "samples", "temperature")}
    sized = [f"{ROOT}.{name}.rows" for name, own in of_task.items() if any(one.startswith("rows=") for one in own)]
    if settings.want and (rows := [f"{ROOT}.rows"] * (settings.rows is not None) + sized):
        what = f"{ROOT}.want says how many rows are measured, and so does {rows[0]}"
        raise RunError(what, where=f"{ROOT}.want={settings.want:g} {rows[0]}", hint="leave one of them out")
    over = [f"{key}={value}" for key, value in whole.items() if value is not None]
    tasks = []
    for one in {one.name: one for one in found}.values():
        own = [*over, *of_task.get(one.name, [])]
        task = task_file.typed(Task, dataclasses.asdict(one.task), own, f"{ROOT}.{one.name}", places)
        tasks.append(dataclasses.replace(one, task=task))
    return tasks, settings


def _expanded(name: str, run: Run, suite: str | None, above: tuple[str, ...]) -> list[Named]:
    one, places, model = task_file.read(name, run), run.places, run.model.name
    if one.task.kind is not Kind.suite:
        return [dataclasses.replace(one, suite=suite)]
    if name in above:
        raise RunError(f"the suite {name} holds itself", where=str(one.file), hint=f"take {name} out of its tasks")
    parts = one.task.of_model.get(model, one.task.tasks)
    if not parts:
        hint = f"write tasks: [NAME, ...] there; one of: {listed(places)}"
        raise RunError(f"the suite {name} has no tasks for the model {model}", where=str(one.file), hint=hint)
    return [task for part in parts for task in _expanded(part, run, suite or name, (*above, name))]
