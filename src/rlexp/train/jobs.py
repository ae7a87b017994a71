"""Hands a command line to Hydra, which makes the run folders, and does the work of a verb in each."""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rlexp import project
from rlexp.backend import installed
from rlexp.backend.engine import server_command
from rlexp.backend.warm import KEPT
from rlexp.compare import sweep
from rlexp.compose.points import CommandLine
from rlexp.compose.run import Run
from rlexp.compose.schema import Device, Loader
from rlexp.compose.search_path import places
from rlexp.compose.tree import of_tree
from rlexp.errors import RunError
from rlexp.health import rules as health_rules
from rlexp.inputs.find import Inputs
from rlexp.inputs.prepare import prepare
from rlexp.nvidia import gpus
from rlexp.preflight import checks
from rlexp.train import folders, forked, selecting
from rlexp.train.guards import require_one_process
from rlexp.train.job import Job
from rlexp.train.launch import launch
from rlexp.train.sweeping.worker import FAULT


@dataclass(frozen=True)
class Ran:
    """The folders of what a command line ran."""

    folder: Path
    """That of the run, or of the sweep."""
    points: list[sweep.SweepPoint] | None
    """Those of a sweep; None for a run alone, which finished."""


def run_jobs(line: CommandLine, work: Callable[[Job], None]) -> Ran:
    """Checks every point, makes missing inputs, then lets Hydra run exactly these points.

    Args:
        line: the command line; where its sweeper makes the points as it goes, each is checked when its turn comes.
        work: what is done with every point, such as ``session.train``.

    Raises:
        RunError: a point is not possible, or the only run failed. What points of a sweep failed of, their records say.
    """
    require_one_process()
    made = line.points() if line.listed else []
    if not any(override.startswith("hydra/launcher=") for override in line.overrides):
        one_loader([point.run for point in made])
    with folders.claimed(line, made) as folder:
        for point in made:
            make_ready(point.run, line.root, folder)
        failure = launch(line, functools.partial(_one_job, work, line.listed, line.over))
    if line.sweeps:
        return Ran(folder, sweep.read(folder, [point.run_dir for point in made]))
    if failure:
        raise failure
    return Ran(folder, None)


def one_loader(runs: list[Run]) -> None:
    """Checks whether the points of a sweep can be trained one after another in this process.

    Raises:
        RunError: some are trained with Unsloth, which rewrites TRL's classes for good, and some without.
    """
    names = {loader: [run.rollout.name for run in runs if run.rollout.loader is loader] for loader in Loader}
    if all(names.values()):
        raise RunError(
            "a sweep runs in one process, and Unsloth rewrites TRL there: some points are trained with it "
            f"(rollout={names[Loader.unsloth][0]}) and some without ({names[Loader.transformers][0]})",
            where="rollout, model",
            hint="sweep over them in two commands, or type rollout=unsloth or rollout=colocate for all",
        )


def make_ready(run: Run, root: Path, run_dir: Path, inputs: Inputs | None = None) -> None:
    """Makes the missing inputs of a run, and tries its reward.

    Args:
        run_dir: where it writes, for the room on that disk.
        inputs: those of a lock, which are there; by default the project's.

    Raises:
        RunError: it cannot be started.
    """
    if run.hardware.devices > 1:
        raise RunError(
            "a run over several devices is planned (plan shows its geometry) but cannot be started yet",
            where="hardware.devices",
            hint="type hardware.devices=1; the optimisation problem stays the same",
        )
    if run.hardware.device is Device.cuda and not gpus():
        raise RunError(
            "no GPU here: nvidia-smi names none",
            where=f"hardware={run.hardware.name}",
            hint="type hardware=cpu; for a machine that has one: plan shows the run here too",
        )
    installed.require(run)
    health_rules.validate(run.health.rules)
    server_command.validate(run)
    inputs = inputs or prepare(run, root)
    selecting.task_of(run, root)
    checks.refuse(run, inputs, run_dir)


def _one_job(
    work: Callable[[Job], None], checked: bool, over: Callable[[Run, list[str]], Run] | None, cfg: DictConfig
) -> Exception | str | None:
    """Does the work of one point in the folder that Hydra made, which may be in another process.

    Returns:
        what it failed of, of a run that is no point of a sweep; of a point, whose record says it, FAULT where nobody
        foresaw it.
    """
    settings, root = HydraConfig.get(), project.root()
    run_dir, overrides = Path(settings.runtime.output_dir), list(settings.overrides.task)
    sources = [(source.schema, source.path) for source in settings.runtime.config_sources]
    run = of_tree(cfg, places(root, sources, settings.runtime.choices), overrides)
    run = over(run, overrides) if over else run
    if not checked:
        make_ready(run, root, run_dir)
    failure = attempt(work, Job(run, root, run_dir, overrides, fork=forked.checkpoint_of(run, root), warm=KEPT.get()))
    if settings.mode is RunMode.MULTIRUN:
        return FAULT if failure and not (isinstance(failure, RunError) and failure.exit_code == 2) else None
    return failure


def attempt(work: Callable[[Job], None], job: Job) -> Exception | None:
    """Does one job of several; a failure is in its manifest, and does not stop the others."""
    try:
        work(job)
    except Exception as error:
        # Hydra would stop a sweep's table from being shown and print its own line; the manifest holds the reason.
        return error
    finally:
        if (wandb := sys.modules.get("wandb")) and getattr(wandb, "run", None):
            wandb.finish()  # or the next point would be written into this one
        gc.collect()  # model and trainer refer to each other, and the next job needs their memory
    return None
