"""A sweep: its points are listed and checked, written down, and run by whatever launcher; then their records are read.

What comes out is read from the folders of the points that were planned, so that it is the same with every launcher,
and whatever ended it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from rlexp.compare import sweep as compared
from rlexp.compose.points import CommandLine, Point
from rlexp.compose.run import Run
from rlexp.compose.schema import Loader, VllmMode
from rlexp.compose.sweep import impossible
from rlexp.console import RunConsole
from rlexp.errors import Interrupted, RunError
from rlexp.record import claim, go_on, sweeps
from rlexp.record.lock import identity
from rlexp.record.sweeps import Impossible, Plan, Planned
from rlexp.train import folders
from rlexp.train.job import Job
from rlexp.train.launch import launch
from rlexp.train.one_job import make_ready
from rlexp.train.ran import Ran
from rlexp.train.sweeping import into, point
from rlexp.train.sweeping.aside import aside
from rlexp.train.sweeping.naming import named

T = TypeVar("T")
INTO = "sweep.into"
OWN = "hydra_plugins.rlexp_workers.Workers"
"""The launcher of ours."""
IN_ONE_PROCESS = ("BasicLauncher", "JoblibLauncher")
"""Launchers that may run several points in one process."""


def run(line: CommandLine, work: Callable[[Job], None]) -> Ran:
    """Runs a sweep.

    Args:
        line: the command line; where its sweeper makes the points as it goes, each is checked when its turn comes.
        work: what is done with every point, such as ``session.train``.

    Raises:
        RunError: a point is not possible, or the folder is not free. What points failed of, their records say.
    """
    line, before = into.settled(line)
    launcher = line.choice("hydra/launcher")
    require_own(line)
    points = named(line, line.points()) if line.listed else []
    one_loader(line, [one.run for one in points])
    with _claimed(line, points, before) as folder:

        def ready(one: Point) -> Point:
            make_ready(one.run, line.root, folder)
            return one

        points, left_out = possible(line, points, ready)
        left_out = [*(Impossible(o, error.what) for o, error in line.composed[1]), *left_out] if line.listed else []
        todo = into.missing(line, points, before) if before else into.Todo(points)
        planned = _planned([one for one in points if one.run_dir not in todo.elsewhere], folder)
        plan = Plan([*line.overrides, *line.typed], launcher, planned, left_out)
        plan = before.grown(plan) if before else plan
        for begun_anew in todo.anew:
            aside(begun_anew)
        if line.listed:
            sweeps.write(folder, plan)
        swept = Ran(folder, impossible=plan.impossible)
        _launch(line, work, todo, swept)
    swept.points = compared.read(swept.folder)
    swept.exit_code = swept.exit_code or int(not all(one.finished for one in swept.points))
    return swept


def own(line: CommandLine) -> bool:
    """Whether its launcher is ours."""
    return bool(line.config.hydra.launcher._target_ == OWN)


def require_own(line: CommandLine) -> None:
    """Checks whether this launcher has the workers that were asked for.

    Raises:
        RunError: they are of another launcher.
    """
    if line.sweep.workers and not own(line):
        launcher = line.choice("hydra/launcher")
        hint = "type hydra.launcher.n_jobs=N for joblib, or leave out hydra/launcher"
        raise RunError("sweep.workers is of the launcher workers", where=f"hydra/launcher={launcher}", hint=hint)


def one_loader(line: CommandLine, runs: Sequence[Run]) -> None:
    """Checks whether the points of a sweep can be trained one after another in one process, where that is what its
    launcher does.

    Raises:
        RunError: some are trained with Unsloth, which rewrites TRL's classes for good, and some without.
    """
    if not line.config.hydra.launcher._target_.endswith(IN_ONE_PROCESS):
        return
    names = {one: [run.rollout.name for run in runs if run.rollout.loader is one] for one in Loader}
    if all(names.values()):
        raise RunError(
            "this launcher runs points in one process, and Unsloth rewrites TRL there: some points are trained with it "
            f"(rollout={names[Loader.unsloth][0]}) and some without ({names[Loader.transformers][0]})",
            where="rollout, model",
            hint="leave out hydra/launcher, or sweep over them in two commands",
        )


@contextlib.contextmanager
def _claimed(line: CommandLine, points: list[Point], before: Plan | None) -> Iterator[Path]:
    """Claims the folder of a new sweep, or of one that goes on, while it lasts."""
    if before is None:
        with folders.claimed(line, points) as folder, claim.going_on(folder, _shown(folder, line.root), INTO):
            yield folder
        return
    folders.require_apart(line, points)
    folder = into.folder_of(line)
    with claim.going_on(folder, _shown(folder, line.root), INTO):
        yield folder


def _shown(folder: Path, root: Path) -> str:
    return os.path.relpath(folder, root)


def possible(
    line: CommandLine, points: Sequence[Point], ready: Callable[[Point], T]
) -> tuple[list[T], list[Impossible]]:
    """Tries what each point takes; those that cannot be are left out where that was asked for.

    Args:
        ready: answers what is needed of a point, or raises a RunError.

    Returns:
        (the answers of those that can be, those that cannot).

    Raises:
        RunError: points cannot be trained.
    """
    good, refused = [], []
    for one in line.watch(points):
        try:
            good.append(ready(one))
        except RunError as error:
            refused.append((one.overrides, error))
    if refused and not (line.sweep.skip_impossible and good):
        alike = len({str(error) for _, error in refused}) == 1 and not good
        raise refused[0][1] if alike else impossible([one.overrides for one in points], refused)
    return good, [Impossible(overrides, error.what) for overrides, error in refused]


def _planned(points: list[Point], folder: Path) -> list[Planned]:
    return [
        Planned(os.path.relpath(one.run_dir, folder), one.overrides, identity(one.run), one.run.seed) for one in points
    ]


def _launch(line: CommandLine, work: Callable[[Job], None], todo: into.Todo, swept: Ran) -> None:
    task = functools.partial(point.run, work, line.listed, line.over, todo.begun)
    for name in todo.kept:
        RunConsole().print(f"{name} was trained already, and is not trained again", markup=False)
    if line.listed and not todo.points:
        return
    again = go_on.line("-m", go_on.override(INTO, _shown(swept.folder, line.root)))
    try:
        launch(line, task, points=together(todo.points))
    except RunError as error:
        if line.listed:
            raise
        swept.ended, swept.exit_code = f"the sweeper ended: {error.what}", 1
    except KeyboardInterrupt as error:
        number = error.exit_code - 128 if isinstance(error, Interrupted) else signal.SIGINT
        swept.ended, swept.exit_code = f"{Interrupted(number).reason}; to go on: {again}", 128 + number
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else "it gave no reason"
        swept.ended, swept.exit_code = f"the launcher ended: {type(error).__name__}: {said}; to go on: {again}", 1


def shared(run: Run) -> str:
    """What two points must share to share a loaded model."""
    config = run.config()
    return str([config[name] for name in ("model", "hardware", "rollout")])


def together(points: list[Point]) -> list[Point]:
    """The points with those that can share a loaded model one behind the other; on a GPU the largest first, whose
    engine serves the smaller ones too."""
    groups: dict[str, list[Point]] = {}
    for one in points:
        groups.setdefault(shared(one.run), []).append(one)
    for group in groups.values():
        if group[0].run.rollout.vllm_mode is not VllmMode.none:
            group.sort(key=lambda one: -one.run.geometry.sequences_per_step)
    return [one for group in groups.values() for one in group]
