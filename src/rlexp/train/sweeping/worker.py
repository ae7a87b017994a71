"""A worker of a sweep: a process that runs one point after the other, and keeps the loaded model between them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any

import cloudpickle
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from rlexp import command
from rlexp.backend import telemetry
from rlexp.backend.warm import KEPT, Warm
from rlexp.errors import Interrupted

SET_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of linux/prctl.h."""


@dataclass(frozen=True)
class Asked:
    """A point, and what it is composed and run with: it can be pickled."""

    number: int
    overrides: list[str]
    config: DictConfig
    """What the points have in common."""
    hydra_context: HydraContext
    task_function: TaskFunction
    singletons: Any
    """Hydra's own, of the process that asks."""
    began: float
    """When the command began, by the monotonic clock."""
    argv: list[str]
    """What was typed."""


@dataclass(frozen=True)
class Answer:
    """How a point ended."""

    returned: Any = None
    """What the task function returned, or the error that it raised."""
    status: JobStatus = JobStatus.UNKNOWN
    interrupted: int = 0
    """The exit code of an interruption."""


def serve(pipe: Any) -> None:
    """Runs the points that come through a pipe until it is closed: what the process does."""
    telemetry.switch_off()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _heard)
    if sys.platform == "linux":  # where its parent is gone, it ends as by a kill, and saves its point
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGTERM)
    KEPT.set(Warm())
    while True:
        try:
            asked = pipe.recv()
            pipe.send_bytes(cloudpickle.dumps(_run(asked)))
        except (EOFError, OSError, KeyboardInterrupt):
            os._exit(0)  # what libraries do at their end takes seconds, and nobody waits for it


def _heard(number: int, frame: object) -> None:
    """Ends what is under way.

    Raises:
        Interrupted: always.
    """
    raise Interrupted(number)


def _run(asked: Asked) -> Answer:
    command.begin(asked.began)
    sys.argv = asked.argv
    setup_globals()
    Singleton.set_state(asked.singletons)
    config = asked.hydra_context.config_loader.load_sweep_config(asked.config, list(asked.overrides))
    with open_dict(config):
        config.hydra.job.num, config.hydra.job.id = asked.number, str(asked.number)
    try:
        done = run_job(
            hydra_context=asked.hydra_context,
            task_function=asked.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
    except KeyboardInterrupt as error:
        return Answer(interrupted=error.exit_code if isinstance(error, Interrupted) else 130)
    finally:
        HydraConfig.instance().cfg = None
    return Answer(done._return_value, done.status)
