"""What the points of a sweep must hold, and the folder of each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from rlexp.compose.places import Places
from rlexp.compose.run import Run
from rlexp.errors import RunError

MISSING = "a value is missing"
"""What is said of a key of an option that must be typed."""


def require_one_kind(runs: Sequence[Run], typed: Sequence[str]) -> None:
    """Refuses a sweep over methods whose data are of several types, where the data set is not swept along.

    Args:
        typed: the overrides of the sweep.

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
            hint=_over_pairs([*dict.fromkeys(run.method.name for run in runs)], unfit.places, typed),
        )


def _over_pairs(methods: Sequence[str], places: Places, typed: Sequence[str]) -> str:
    """What to type where methods are swept: files of conf/experiment, each a method with its data."""
    files = sorted(places.option_files("experiment").items(), key=lambda item: len(item[0]))
    recipes = {
        method: next((name for name, file in files if f"override /method: {method}\n" in file.read_text()), None)
        for method in methods
    }
    kept = [one for one in typed if one.partition("=")[0] not in ("method", "dataset", "experiment")]
    line = " ".join(["-m", f"experiment={','.join(name or 'NAME' for name in recipes.values())}", *map(quote, kept)])
    lacking = [method for method, name in recipes.items() if name is None]
    first = f"write conf/experiment/NAME.yaml with {' and '.join(lacking)} and its data, and " if lacking else ""
    return (
        f"sweep over pairs of method and data, each a file of conf/experiment: {first}leave out method and dataset, "
        f"and type {line}"
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


def require_plugins(config: DictConfig) -> None:
    """Refuses the name of a launcher or a sweeper that was typed as a value: each is a group of Hydra's.

    Raises:
        RunError: one is no node that says what to start.
    """
    for name in ("launcher", "sweeper"):
        if not OmegaConf.is_dict(value := config.hydra.get(name)):
            raise RunError(
                f"hydra/{name} is a group, and hydra.{name} is what its option holds",
                where=f"hydra.{name}={'null' if value is None else value}",
                hint=f"type hydra/{name}={value or 'basic'}, with a slash",
            )


def impossible(lists: Sequence[list[str]], refused: Sequence[tuple[list[str], RunError]]) -> RunError:
    """The answer to a run that cannot be, or a sweep some of whose points cannot.

    Args:
        lists: the overrides of all points.
        refused: those of each that cannot be, and why.
    """
    if len(lists) == 1:
        return refused[0][1]
    varied = [item for item in range(len(lists[0])) if len({point[item] for point in lists}) > 1]
    named = "\n".join(f"  {' '.join(point[i] for i in varied)}: {error.what}" for point, error in refused)
    hint, left = refused[0][1].hint, [point for point in lists if point not in [bad for bad, _ in refused]]
    # A value that one option lacks is no key of the others: it cannot be typed for all of them.
    if refused[0][1].what == MISSING and left and len(varied) == 1:
        key = left[0][varied[0]].partition("=")[0]
        hint = f"leave them out: type -m {key}={','.join(point[varied[0]].partition('=')[2] for point in left)}"
    return RunError(
        f"{len(refused)} of {len(lists)} points of the sweep are not possible; nothing was started\n{named}",
        where=refused[0][1].where,
        hint=hint,
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
