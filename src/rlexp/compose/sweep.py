"""What the points of a sweep must hold, and the folder of each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from rlexp.compose.run import Run
from rlexp.errors import RunError


def require_one_kind(runs: Sequence[Run]) -> None:
    """Refuses a sweep over methods whose data are of several types, where the data set is not swept along.

    Raises:
        RunError: a method does not train on the data of its point.
    """
    kinds = {run.method.dataset_type for run in runs}
    unfit = next((run for run in runs if run.method.dataset_type is not run.dataset.type), None)
    if len(kinds) > 1 and unfit:
        raise RunError(
            f"the sweep's methods train on {' and '.join(sorted(kind.name for kind in kinds))} data, and "
            f"{unfit.method.name} would get {unfit.dataset.name}",
            where=f"method={unfit.method.name}, dataset={unfit.dataset.name}",
            hint="sweep over pairs, each a file of conf/experiment: leave out method and dataset, and "
            "type -m experiment=sums_grpo,sums_dpo",
        )


def require_values(override: Override) -> None:
    """Refuses a glob or a range that names nothing.

    Raises:
        RunError: it gives no point.
    """
    if not list(override.sweep_string_iterator()):
        raise RunError(
            f"{override.input_line} gives no point at all",
            where="-m",
            hint=f"name the values: type -m {override.get_key_element()}=A,B",
        )


def folders_of(config: DictConfig, sweeps: bool) -> tuple[str, str]:
    """The folder of a sweep and of a run as the run's config says them; both are the run's where nothing is swept.

    An interpolation in them may ask for Hydra's own settings.
    """
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        if sweeps:
            above = str(config.hydra.sweep.dir)
            return above, f"{above}/{config.hydra.sweep.subdir}"
        return str(config.hydra.run.dir), str(config.hydra.run.dir)
    finally:
        HydraConfig.instance().cfg = before


def typed_of(config: DictConfig) -> list[str]:
    """The overrides of a composed config, as they were typed."""
    overrides: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    return overrides
