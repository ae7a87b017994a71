"""Composes what a command line asks for: one run, or every point of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from rlexp.compose import hub, model_size, typed
from rlexp.compose.explain import explain
from rlexp.compose.run import Run, resolve
from rlexp.errors import RunError


@dataclass(frozen=True)
class Point:
    """One run and the overrides that make it."""

    overrides: list[str]
    run: Run


def points(conf: Path, overrides: list[str], multirun: bool) -> list[Point]:
    """Composes and checks every point of a command line, before anything is written.

    Args:
        conf: the project's conf/ folder.
        overrides: Hydra overrides as typed.
        multirun: whether ``-m`` was typed: comma lists and ranges are swept, as Hydra's basic sweeper does.

    Raises:
        RunError: the first point that is not possible; for a sweep the message names every one of them.
    """
    with initialize_config_dir(config_dir=str(conf), version_base="1.3", job_name="rlexp"):
        try:
            lists = expand(overrides) if multirun else [overrides]
        except HydraException as error:
            raise explain(error, conf) from error
        made, refused = [], []
        for item in lists:
            try:
                made.append(Point(item, _compose(conf, item)))
            except RunError as error:
                refused.append((item, error))
    if refused and len(lists) == 1:
        raise refused[0][1]
    if refused:
        varied = [item for item in range(len(lists[0])) if len({point[item] for point in lists}) > 1]
        named = "\n".join(f"  {' '.join(point[i] for i in varied)}: {error.what}" for point, error in refused)
        raise RunError(
            f"{len(refused)} of {len(lists)} points of the sweep are not possible; nothing was started\n{named}",
            where=refused[0][1].where,
            hint=refused[0][1].hint,
        )
    return made


def expand(overrides: list[str]) -> list[list[str]]:
    """The overrides of every point, in the order in which Hydra's basic sweeper runs them."""
    parsed = OverridesParser.create().parse_overrides([o for o in overrides if not o.startswith("hydra")])
    return BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]


def choice(conf: Path, overrides: list[str], group: str) -> str:
    """The option of a group as it was typed, or as an experiment or the defaults say it: ``format+correct``.

    Raises:
        RunError: it cannot be composed.
    """
    with initialize_config_dir(config_dir=str(conf), version_base="1.3", job_name="rlexp"):
        try:
            composed = compose("config", overrides=overrides, return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise explain(error, conf) from error
    return str(composed.hydra.runtime.choices[group])


def of_tree(cfg: DictConfig, root: Path) -> Run:
    """The run of a tree that Hydra composed: checked, its model's size read and a hub model's commit resolved.

    Args:
        root: the project folder.

    Raises:
        RunError: as ``resolve``, and ``hub.at_commit``.
    """
    hub.begin(cfg.invocation)
    return hub.at_commit(resolve(cfg, model_size.of_tree(cfg, root)))


def _compose(conf: Path, overrides: list[str]) -> Run:
    try:
        composed = compose("config", overrides=overrides)
        typed.settle(composed, typed.keys_of(overrides))
        return of_tree(composed, conf.parent)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, conf) from error
    except (AssertionError, AttributeError) as error:
        sizes = [override for override in overrides if override.startswith("model.size")]
        if not sizes:
            raise
        # Hydra cannot change what is null, and says so in no error of its own.
        raise RunError(
            "the model option states no size that could be changed",
            where=sizes[-1],
            hint="say all of it in the option's file in conf/model, under size, as the others do",
        ) from error
