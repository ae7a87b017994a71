"""Hands a command line to Hydra, which makes the run folders, and does the work of a verb in each."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from rlexp import project
from rlexp.backend.engine import server_command
from rlexp.compose import typed
from rlexp.compose.explain import explain
from rlexp.compose.points import of_tree, points
from rlexp.compose.run import Run
from rlexp.compose.schema import Loader
from rlexp.errors import RunError
from rlexp.health import rules as health_rules
from rlexp.inputs.prepare import prepare
from rlexp.preflight import checks
from rlexp.train import folders
from rlexp.train.guards import require_one_process
from rlexp.train.job import Job

_sweep: list[Path] = []
_failures: list[Exception] = []


def run_jobs(options: Namespace, work: Callable[[Job], None]) -> int:
    """Checks every point, makes missing inputs, then lets Hydra run the jobs.

    Args:
        options: the command line as Hydra reads it.
        work: what is done with every point, such as ``session.train``.

    Returns:
        0, or 1 when points of a sweep failed (the table names them).

    Raises:
        RunError: a point is not possible, or the only run failed by a user's mistake.
    """
    with contextlib.ExitStack() as claims:
        return _run_jobs(options, work, claims)


def _run_jobs(options: Namespace, work: Callable[[Job], None], claims: contextlib.ExitStack) -> int:
    root = project.root()
    require_one_process()
    if not _asks_hydra(options):
        made = points(root / "conf", options.overrides, options.multirun)
        if not any(override.startswith("hydra/launcher=") for override in options.overrides):
            one_loader([point.run for point in made])
        typed = [point.overrides for point in made]
        named = claims.enter_context(folders.claimed(root / "conf", options.overrides, typed, options.multirun))
        for point in made:
            make_ready(point.run, root, root / named)
    # Hydra would print its own one-line errors; with this it raises, and ours are printed.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    application = hydra.main(version_base="1.3", config_path=str(root / "conf"), config_name="config")(
        functools.partial(_one_job, work)
    )
    try:
        application()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, root / "conf") from error
    if _sweep:
        from rlexp.compare.sweep import show

        return show(_sweep[0])
    if _failures:
        raise _failures[0]
    return 0


def _asks_hydra(options: Namespace) -> bool:
    return bool(options.cfg or options.info or options.help or options.hydra_help or options.shell_completion)


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


def make_ready(run: Run, root: Path, run_dir: Path) -> None:
    """Makes the missing inputs of a run, and tries its reward.

    Args:
        run_dir: where it writes, for the room on that disk.

    Raises:
        RunError: it cannot be started.
    """
    if run.hardware.devices > 1:
        raise RunError(
            "a run over several devices is planned (plan shows its geometry) but cannot be started yet",
            where="hardware.devices",
            hint="type hardware.devices=1; the optimisation problem stays the same",
        )
    health_rules.validate(run.health.rules)
    server_command.validate(run)
    inputs = prepare(run, root)
    checks.refuse(run, inputs, run_dir)


def _one_job(work: Callable[[Job], None], cfg: DictConfig) -> None:
    settings = HydraConfig.get()
    if settings.mode is RunMode.MULTIRUN:
        _sweep.append(Path(settings.sweep.dir))
    root = project.root()
    run_dir, overrides = Path(settings.runtime.output_dir), list(settings.overrides.task)
    typed.settle(cfg, typed.keys_of(overrides))
    failure = attempt(work, Job(of_tree(cfg, root), root, run_dir, overrides))
    if failure:
        _failures.append(failure)


def attempt(work: Callable[[Job], None], job: Job) -> Exception | None:
    """Does one job of several; a failure is in its manifest, and does not stop the others."""
    try:
        work(job)
    except Exception as error:
        # Hydra would stop a sweep's table from being shown and print its own line; the manifest holds the reason.
        return error
    finally:
        gc.collect()  # model and trainer refer to each other, and the next job needs their memory
    return None
