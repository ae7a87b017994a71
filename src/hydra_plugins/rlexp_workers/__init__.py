"""Hydra's launcher ``workers``: the points of a sweep in processes of their own that stay for the next point.

Hydra executes every module here whenever it starts, without naming it in ``sys.modules`` (so no annotations as texts):
what the launcher does lies in ``rlexp.train.sweeping``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class Config:
    """The option ``hydra/launcher=workers``."""

    _target_: str = "hydra_plugins.rlexp_workers.Workers"
    workers: int | None = None
    """Points at once; null: one a GPU, one on a CPU."""


ConfigStore.instance().store(group="hydra/launcher", name="workers", node=Config, provider="rlexp")


class Workers(Launcher):
    """Runs the points of a sweep in long-lived worker processes."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers
        self._settings: dict[str, Any] = {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps what a point is run with."""
        self._settings = {"hydra_context": hydra_context, "task_function": task_function, "config": config}

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs points; a failure is in what is returned, and in the record of the point."""
        from rlexp.train.sweeping import pool

        return pool.run(list(job_overrides), initial_job_idx, self.workers, **self._settings)
