"""What ``hydra.main`` does behind its parser, for a command line whose points are composed and checked already."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from rlexp.compose.points import CommandLine, Point
from rlexp.compose.sweep import typed_of
from rlexp.train.sweeping.naming import BY_IDENTITY, SUBDIR


def launch(
    line: CommandLine,
    task: Callable[[DictConfig], Any],
    config: DictConfig | None = None,
    points: Sequence[Point] = (),
) -> Any:
    """Runs the points of a command line in the folders they were composed with.

    Source: hydra 1.3, ``_internal/hydra.py`` (run, multirun) and ``BasicSweeper.sweep``, less the second composing of
    every point.

    Args:
        line: composed and checked.
        task: what is done with the config of a point; a launcher may send it to another process.
        config: of a run alone, where another one is kept than the line composes.
        points: of a sweep whose points are known.

    Returns:
        what the task returned; of a sweep nothing.
    """
    config, name = config or line.config, line.config_name
    callbacks = Callbacks(config)
    context = HydraContext(config_loader=line.loader, callbacks=callbacks)
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    if not line.sweeps:
        callbacks.on_run_start(config=config, config_name=name)
        done = run_job(
            hydra_context=context, task_function=task, config=config, job_dir_key="hydra.run.dir", job_subdir_key=None
        )
        callbacks.on_run_end(config=config, config_name=name, job_return=done)
        return done.return_value
    if line.sweep.workers:
        config.hydra.launcher.workers = line.sweep.workers
    callbacks.on_multirun_start(config=config, config_name=name)
    if line.listed:
        folder = Path(config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, folder / "multirun.yaml")
        with line.explained():
            launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
        lists = [[*point.overrides, *point.of_hydra] for point in points]
        size = config.hydra.sweeper.max_batch_size or len(lists) or 1
        for begin in range(0, len(lists), size):
            with _each_job(config.hydra.launcher._target_):
                returned = launcher.launch(lists[begin : begin + size], initial_job_idx=begin)
            for done in returned:
                _ = done.return_value  # raises what was no failure of the work itself
    else:
        if config.hydra.sweep.subdir == BY_IDENTITY:  # nothing is known of its points before
            with open_dict(config):
                config.hydra.overrides.hydra.append(f"{SUBDIR}=${{hydra.job.num}}")
        with line.explained():
            sweeper = Plugins.instance().instantiate_sweeper(hydra_context=context, task_function=task, config=config)
        sweeper.sweep(arguments=typed_of(config))
    callbacks.on_multirun_end(config=config, config_name=name)
    return None


@contextlib.contextmanager
def _each_job(launcher: str) -> Iterator[None]:
    """Has submitit's launchers wait for every job: they would end at the first whose process died, and leave the
    others behind.

    Source: ``BaseSubmititLauncher.launch`` of hydra-submitit-launcher 1.2, which asks each job for its results.
    """
    if "submitit" not in launcher:
        yield
        return
    from submitit.core.core import Job

    original = Job.results

    def results(self: Any) -> list[Any]:
        try:
            return original(self)
        except Exception as error:
            return [JobReturn(status=JobStatus.FAILED, _return_value=error)]

    with mock.patch.object(Job, "results", results):
        yield
