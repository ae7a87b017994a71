"""``sweep.into=FOLDER``: a sweep that goes on with what is missing, or grows by the points that are typed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from rlexp.compare.sweep import manifest_of
from rlexp.compose.points import CommandLine, Point
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.files import lies_inside
from rlexp.inputs.find import find_inputs
from rlexp.inputs.hashes import inputs_digest
from rlexp.record import go_on, lock, status, sweeps
from rlexp.record.checkpoints import last_whole
from rlexp.record.run_folder import LOCK
from rlexp.record.sweeps import Plan
from rlexp.train.resume_auto import differs

INTO, DIR = "sweep.into", "hydra.sweep.dir"
LENGTH = ("max_steps", "num_train_epochs")
"""The method's arguments that say how long it trains."""


@dataclass
class Todo:
    """What is left of a sweep."""

    points: list[Point]
    """Those that are run, in the order of the line."""
    begun: frozenset[str] = frozenset()
    """The folders of those that go on from a checkpoint of their own."""
    kept: list[str] = field(default_factory=list)
    """The folders of those that were trained already."""
    anew: list[Path] = field(default_factory=list)
    """The folders of those that are begun anew: what is there is kept beside them."""
    elsewhere: set[Path] = field(default_factory=set)
    """The folders that those would have had which were trained already in another."""


def settled(line: CommandLine) -> tuple[CommandLine, Plan | None]:
    """The line with the folder that it names, and what that sweep was to be; its own points where none are typed.

    Raises:
        RunError: there is no such sweep, or another key says where it lies.
    """
    if line.sweep.into is None:
        return line, None
    if not line.listed:
        hint = "leave out hydra/sweeper, or sweep.into"
        raise RunError("the points of this sweeper are made while it runs", where=INTO, hint=hint)
    if typed := [one for one in line.overrides if go_on.key_of(one) == DIR]:
        raise RunError(f"{INTO} says where the sweep lies", where=typed[0], hint=f"leave {DIR} out")
    folder = folder_of(line)
    shown = go_on.override(INTO, line.sweep.into)
    if not lies_inside(folder, line.root):
        raise RunError("a sweep lies in the project", where=shown, hint=f"type {INTO}=multirun/NAME")
    before = sweeps.require(folder, shown)
    overrides = line.overrides or [one for one in before.typed if not one.startswith("sweep.")]
    overrides = [*overrides, go_on.override(DIR, go_on.place(folder, line.root))]
    return dataclasses.replace(line, overrides=overrides), before


def folder_of(line: CommandLine) -> Path:
    """The folder that ``sweep.into`` names."""
    return line.root / (line.sweep.into or "")


def missing(line: CommandLine, points: list[Point], before: Plan) -> Todo:
    """What of the points is not trained yet, in a folder of its own or in that of another point which is the same.

    Raises:
        RunError: one is being trained by another process.
    """
    todo, begun, kept, anew, elsewhere = [], set(), [], [], set()
    for one in points:
        manifest = manifest_of(one.run_dir) if one.run_dir.is_dir() else None
        stands = status.of(manifest)[0] if manifest else ""
        shown = go_on.place(one.run_dir, line.root)
        if stands == "running":
            hint = "wait until it ends: python -m rlexp runs shows how it stands"
            raise RunError(f"{shown} is being trained", where=INTO, hint=hint)
        alike = manifest is not None and _alike(one.run, one.run_dir, line.root)
        if alike and stands == "finished":
            kept.append(shown)
            continue
        if twin := next((path for path in _twins(one, before) if _alike(one.run, path, line.root)), None):
            kept.append(go_on.place(twin, line.root))
            elsewhere.add(one.run_dir)
            continue
        todo.append(one)
        if alike and last_whole(one.run_dir)[0]:
            begun.add(str(one.run_dir))
        else:
            anew.append(one.run_dir)
    return Todo(todo, frozenset(begun), kept, anew, elsewhere)


def _twins(point: Point, before: Plan) -> list[Path]:
    """The folders of other points that finished and have its identity."""
    own = lock.identity(point.run)
    same = [point.sweep_dir / one.folder for one in before.points if one.identity == own]
    return [path for path in same if path != point.run_dir and (manifest_of(path) or {}).get("status") == "finished"]


def _alike(run: Run, folder: Path, root: Path) -> bool:
    """Whether a folder holds this very point: identity, inputs, versions, seed and length."""
    inputs = find_inputs(run, root)
    digest = None if inputs.description is None or inputs.model_prepare else inputs_digest(run, inputs)
    if not (folder / LOCK).is_file() or differs(folder / LOCK, digest):
        return False
    locked = lock.read_lock(folder / LOCK)
    now = run.config()["method"]
    same = locked["identity"] == lock.identity(run) and locked["config"]["seed"] == run.seed
    return same and all(locked["config"]["method"].get(name) == now.get(name) for name in LENGTH)
