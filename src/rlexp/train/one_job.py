"""One run: what must be there before it, and the work of a verb in the folder that Hydra made for it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rlexp import project
from rlexp.backend import installed
from rlexp.backend.engine import server_command
from rlexp.backend.warm import KEPT
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.compose.search_path import places
from rlexp.compose.tree import of_tree
from rlexp.errors import RunError
from rlexp.health import rules as health_rules
from rlexp.inputs.find import Inputs
from rlexp.inputs.prepare import prepare
from rlexp.nvidia import gpus
from rlexp.preflight import checks
from rlexp.train import forked, selecting
from rlexp.train.devices import launch as devices
from rlexp.train.job import Job

Over = Callable[[Run, list[str]], Run]


def make_ready(run: Run, root: Path, run_dir: Path, inputs: Inputs | None = None) -> None:
    """Makes the missing inputs of a run, and tries its reward.

    Args:
        run_dir: where it writes, for the room on that disk.
        inputs: those of a lock, which are there; by default the project's.

    Raises:
        RunError: it cannot be started.
    """
    devices.require(run)
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


def one_job(work: Callable[[Job], None], checked: bool, over: Over | None, cfg: DictConfig) -> Exception | None:
    """Does the work of a run in the folder that Hydra made, which may be in another process.

    Args:
        checked: it was made ready before.
        over: what is done with the run that was composed (``CommandLine.over``).

    Returns:
        what it failed of.
    """
    settings, root = HydraConfig.get(), project.root()
    run_dir, overrides = Path(settings.runtime.output_dir), list(settings.overrides.task)
    sources = [(source.schema, source.path) for source in settings.runtime.config_sources]
    run = of_tree(cfg, places(root, sources, settings.runtime.choices), overrides)
    run = over(run, overrides) if over else run
    if not checked:
        make_ready(run, root, run_dir)
    return attempt(work, Job(run, root, run_dir, overrides, fork=forked.checkpoint_of(run, root), warm=KEPT.get()))


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
