"""Eval tasks: ``eval=a+b`` and ``eval.KEY=VALUE`` among the overrides, and the files that they name.

They are a second root, composed beside the run's tree: taken from the overrides before Hydra reads them, so that no
lock of a run and no identity knows of an evaluation that comes after it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlexp.compose import ranges
from rlexp.compose.config_file import Scene, explain_yaml
from rlexp.compose.explain import explain
from rlexp.compose.places import Places
from rlexp.compose.run import Run
from rlexp.compose.schema import DatasetType, HeldOut
from rlexp.compose.schema_eval import Evaluation, Kind, Task
from rlexp.errors import RunError, nearest

ROOT, FOLDER = "eval", "eval"
HELD_OUT, HELD_OUT_PAIRS = "held_out", "held_out_pairs"
"""The tasks of a data set's own held-out rows, and of the answers in them: ``held_out.*`` of the run says them."""
OWN = (HELD_OUT, HELD_OUT_PAIRS)
"""What a run is evaluated on where no task is named: the second only where its data is preference data."""
LM_EVAL, LM_EVAL_FOLDER = "lm_eval:", f"{FOLDER}/lm_eval"
"""Stands before the name of a task of lm-evaluation-harness."""
NAME = re.compile(r"[\w-]+|lm_eval:[\w.-]+", re.A)


@dataclass(frozen=True)
class Asked:
    """What was typed about an evaluation."""

    names: tuple[str, ...] = ()
    """The tasks; none where ``eval=`` was not typed."""
    settings: tuple[str, ...] = ()
    """``KEY=VALUE`` behind ``eval.``, as typed."""
    typed: tuple[str, ...] = ()
    """The overrides, whole."""


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


def take(overrides: Sequence[str]) -> tuple[list[str], Asked]:
    """Takes ``eval=`` and ``eval.KEY=`` out of the overrides.

    Returns:
        (the other overrides, what was taken).

    Raises:
        RunError: one is typed twice, sweeps, or cannot be read.
    """
    own = [one for one in overrides if re.match(rf"[+~]*{ROOT}(\.[^=]*)?(=|$)", one)]
    rest = [one for one in overrides if one not in own]
    names: tuple[str, ...] = ()
    settings = []
    for one in own:
        key, _, raw = one.lstrip("+").partition("=")
        if one.startswith("~") or not raw:
            hint = f"type {ROOT}=held_out, or leave it out"
            raise RunError(f"{ROOT}= names eval tasks", where=one, hint=hint)
        if key == ROOT:
            if names:
                hint = f"type {ROOT}={'+'.join(names)}+{_text(one)}"
                raise RunError(f"{ROOT}= is typed twice", where=one, hint=hint)
            names = _names(one)
        else:
            _text(one)
            settings.append(one.lstrip("+").removeprefix(f"{ROOT}."))
    return rest, Asked(names, tuple(settings), tuple(own))


def _text(override: str) -> Any:
    """The value of an override.

    Raises:
        RunError: it sweeps, or Hydra cannot read it.
    """
    try:
        parsed = OverridesParser.create().parse_overrides([f"{ROOT}={override.partition('=')[2]}"])[0]
    except OverrideParseException as error:
        hint = f"put quotes around it: '{override.partition('=')[0]}=\"...\"'"
        raise RunError("this cannot be read", where=override, hint=hint) from error
    if parsed.is_sweep_override():
        key, _, raw = override.partition("=")
        hint = f"type {key}={raw.replace(',', '+')}" if key == ROOT else f"type one value: {key}={raw.split(',')[0]}"
        raise RunError("an evaluation is not swept: all of its tasks go into one", where=override, hint=hint)
    return parsed.value()


def _names(override: str) -> tuple[str, ...]:
    value = _text(override)
    names = (
        value.split("+") if isinstance(value, str) else [str(one) for one in value] if isinstance(value, list) else []
    )
    for name in names:
        if not NAME.fullmatch(name):
            what = f"{name!r} is no name of an eval task"
            raise RunError(what, where=override, hint=f"type {ROOT}=NAME, {ROOT}=a+b or {ROOT}={LM_EVAL}NAME")
        if names.count(name) > 1:
            once = "+".join(dict.fromkeys(names))
            raise RunError(f"{ROOT}= names {name} twice", where=override, hint=f"type {ROOT}={once}")
    if not names:
        raise RunError(f"{ROOT}= names eval tasks", where=override, hint=f"type {ROOT}={HELD_OUT}")
    return tuple(names)


def present(places: Places) -> list[str]:
    """The tasks that there are: those of files, and those of a run's own held-out rows."""
    local = [f"{LM_EVAL}{Path(name).stem}" for name in places.names(f"{LM_EVAL_FOLDER}/*.yaml")]
    return [*OWN, *(Path(name).stem for name in places.names(f"{FOLDER}/*.yaml")), *local]


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
            where = f"{ROOT}.{setting}"
            raise RunError(f"no task {head!r} is evaluated", where=where, hint=f"type {ROOT}.{guess}.KEY=VALUE")
    settings = typed(Evaluation, {}, general, ROOT, places)
    whole = {name: getattr(settings, name) for name in ("rows", "samples", "temperature")}
    over = [f"{key}={value}" for key, value in whole.items() if value is not None]
    tasks = []
    for one in {one.name: one for one in found}.values():
        own = [*over, *of_task.get(one.name, [])]
        task = typed(Task, dataclasses.asdict(one.task), own, f"{ROOT}.{one.name}", places)
        tasks.append(dataclasses.replace(one, task=task))
    return tasks, settings


def _expanded(name: str, run: Run, suite: str | None, above: tuple[str, ...]) -> list[Named]:
    one, places, model = _read(name, run), run.places, run.model.name
    if one.task.kind is not Kind.suite:
        return [dataclasses.replace(one, suite=suite)]
    if name in above:
        raise RunError(f"the suite {name} holds itself", where=str(one.file), hint=f"take {name} out of its tasks")
    parts = one.task.of_model.get(model, one.task.tasks)
    if not parts:
        hint = f"write tasks: [NAME, ...] there; one of: {', '.join(present(places))}"
        raise RunError(f"the suite {name} has no tasks for the model {model}", where=str(one.file), hint=hint)
    return [task for part in parts for task in _expanded(part, run, suite or name, (*above, name))]


def _read(name: str, run: Run) -> Named:
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
        guess = nearest(name, choices := present(places))
        hint = f"{f'did you mean {ROOT}={guess}? ' if guess else ''}one of: {', '.join(choices)}, {LM_EVAL}NAME"
        raise RunError(f"there is no eval task {name!r} (no {file})", where=f"{ROOT}={name}", hint=hint)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeError) as error:
        raise explain_yaml(error, Scene(file=path)) from error
    if not isinstance(tree, dict):
        raise RunError("an eval task is a mapping of keys", where=file, hint="write version: 1, dataset: NAME and more")
    return Named(name, typed(Task, tree, [], file, places), file, places.holder(file))


def typed(schema: type[Any], tree: dict[str, Any], settings: Sequence[str], where: str, places: Places) -> Any:
    """A tree with settings over it, as a schema's dataclass, every number in its range.

    Args:
        settings: ``KEY=VALUE``, in Hydra's grammar.
        where: what holds the tree, for messages.

    Raises:
        RunError: a key is unknown, or a value has another type or range.
    """
    node = OmegaConf.structured(schema)
    try:
        node = OmegaConf.merge(node, OmegaConf.create(_plain(tree)))
        for setting in settings:
            key, _, raw = setting.partition("=")
            OmegaConf.update(node, key, OverridesParser.create().parse_overrides([f"value={raw}"])[0].value())
        found = OmegaConf.to_object(node)
    except OmegaConfBaseException as error:
        reason = explain(error, places)
        dot = ": " if where.endswith(".yaml") else "."
        hint = reason.hint or "docs/evaluation.md lists the keys of an eval task"
        if dot == ".":
            hint = hint.replace("type ", f"type {where}.", 1)
        raise RunError(reason.what, where=f"{where}{dot}{reason.where}", hint=hint) from error
    ranges.require_fields(found, f"{where}: " if where.endswith(".yaml") else f"{where}.")
    return found


def _plain(tree: Any) -> Any:
    """The tree with enums by their names, as OmegaConf reads them."""
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items()}
    return tree.name if isinstance(tree, Kind) else tree
