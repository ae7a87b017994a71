"""Composes what a command line asks for, with Hydra's own config loader: one run, or every point of a sweep.

The points that are checked here are the points that run: ``train.launch`` hands loader, config and overrides on.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from rlexp.compose import typed_ids
from rlexp.compose.explain import ERRORS, explain, null_group
from rlexp.compose.file_shape import require_method
from rlexp.compose.places import Places
from rlexp.compose.point import Point as Point
from rlexp.compose.run import Run
from rlexp.compose.schema_sweep import Sweep
from rlexp.compose.search_path import Loader
from rlexp.compose.sweep import folders_of, impossible, require_one_kind, require_plugins, require_values, typed_of
from rlexp.compose.tree import of_tree
from rlexp.errors import RunError
from rlexp.project import CONF

NAME = "rlexp"
"""The job's name, as ``hydra.main`` would take it from the module."""
BASIC = f"{BasicSweeper.__module__}.{BasicSweeper.__name__}"
OPTIONAL_GROUP = "experiment"
"""The group of which none may be chosen."""


@dataclass(frozen=True)
class CommandLine:
    """A command line as Hydra reads it."""

    root: Path
    """The project folder; relative folders of runs lie in it."""
    overrides: list[str]
    multirun: bool = False
    """``-m`` was typed; ``hydra.mode=MULTIRUN`` says the same in an override or a file."""
    config_path: Path | None = None
    """The folder of options instead of the project's conf/."""
    config_dir: Path | None = None
    """One more folder of options, which goes before it."""
    config_name: str = "config"
    over: Callable[[Run, list[str]], Run] | None = None
    """What is done with every run that was composed: the config of a locked one goes before it."""
    sweep: Sweep = field(default_factory=Sweep)
    """What was typed about the sweep itself."""
    typed: tuple[str, ...] = ()
    """How that was typed."""
    watch: Callable[[Sequence[Any]], Iterable[Any]] = iter
    """Goes through points, and shows how far it is."""
    loader: Loader = field(init=False)

    def __post_init__(self) -> None:
        version.setbase("1.3")
        setup_globals()
        JobRuntime().set("name", NAME)
        search = create_config_search_path(str(self.config_path or self.root / CONF))
        if self.config_dir:
            search.prepend("command-line", f"file://{self.config_dir}", SearchPathQuery(provider="schema"))
        object.__setattr__(self, "loader", Loader(search))

    @property
    def places(self) -> Places:
        """Where its options and what they name are looked up, once ``config`` was read."""
        return self.loader.places(self.root)

    @property
    def composes(self) -> bool:
        """Whether anything was typed that says what to compose."""
        return bool(self.overrides or self.config_path or self.config_dir or self.config_name != "config")

    @cached_property
    def config(self) -> DictConfig:
        """The composed config with its ``hydra`` node; of a sweep, what its points have in common.

        Raises:
            RunError: it cannot be composed.
        """
        with self.explained():
            typed = self.settled(self.overrides)
            if not self.multirun:
                try:
                    config = self._load(typed, RunMode.RUN)
                except RunError:
                    if not self._asks_to_sweep(typed):
                        raise
                else:
                    if config.hydra.mode is not RunMode.MULTIRUN:
                        config.hydra.mode = RunMode.RUN
                        return config
            return self._load([*typed, "hydra.mode=MULTIRUN"], RunMode.MULTIRUN)

    @property
    def sweeps(self) -> bool:
        """Whether it is a sweep."""
        return self.config.hydra.mode is RunMode.MULTIRUN

    @property
    def listed(self) -> bool:
        """Whether its points are known before it starts: all but those of a sweeper that goes by what came out."""
        return not self.sweeps or self.config.hydra.sweeper._target_ == BASIC

    @cached_property
    def batches(self) -> list[list[list[str]]]:
        """The overrides of every point, batch by batch, as Hydra's basic sweeper makes them.

        Raises:
            RunError: they cannot be read, or another sweeper makes them as it goes.
        """
        if not self.sweeps:
            return [[typed_of(self.config)]]
        if not self.listed:
            raise RunError(
                "the points of this sweeper are made while it runs, so they cannot be shown before",
                where=f"hydra/sweeper={self.config.hydra.runtime.choices['hydra/sweeper']}",
                hint="leave out hydra/sweeper, or plan one point of it",
            )
        with self.explained():
            sweeper = self.config.hydra.sweeper
            typed = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
            typed += typed_of(self.config)
            parsed = OverridesParser.create(config_loader=self.loader).parse_overrides(typed)
            for override in parsed:
                if override.is_sweep_override() and override.is_discrete_sweep():
                    require_values(override)
            batches = BasicSweeper.split_arguments(parsed, sweeper.max_batch_size)
            return [[self.settled(point) for point in batch] for batch in batches]

    def choice(self, group: str) -> str:
        """The option of a group as it was typed, or as an experiment or the defaults say it: ``format+correct``.

        Raises:
            RunError: it cannot be composed.
        """
        return str(self.config.hydra.runtime.choices[group])

    def points(self) -> list[Point]:
        """Composes and checks every point, before anything is written.

        Raises:
            RunError: the first point that is not possible; for a sweep the message names every one of them.
        """
        made, refused = self.composed
        if refused and not (self.sweep.skip_impossible and made):
            raise impossible([*[p.overrides for p in made], *[o for o, _ in refused]], refused)
        return made

    @cached_property
    def composed(self) -> tuple[list[Point], list[tuple[list[str], RunError]]]:
        """(every point that can be, the overrides of each that cannot with why).

        Raises:
            RunError: the overrides cannot be read, or the methods of a sweep take other data.
        """
        lists = [overrides for batch in self.batches for overrides in batch]
        made, refused = [], []
        if self.sweeps:
            with self.explained():
                OmegaConf.select(self.config, "hydra.sweep.dir")  # the time in it is one for all points
        for number, overrides in enumerate(self.watch(lists)):
            try:
                made.append(self._point(number, overrides))
            except RunError as error:
                refused.append((overrides, error))
        if not refused:
            require_one_kind([point.run for point in made], self.overrides)
        return made, refused

    def _point(self, number: int, overrides: list[str]) -> Point:
        config = self.config
        with self.explained(overrides):
            if self.sweeps:
                config = self.loader.load_sweep_config(config, overrides)
                with open_dict(config):
                    config.hydra.job.num, config.hydra.job.id = number, str(number)
            require_method(config, self.places)
            for group, option in config.hydra.runtime.choices.items():
                if option is None and "/" not in group and group != OPTIONAL_GROUP:
                    raise null_group(group, self.loader.get_group_options(group, config_name=self.config_name))
        try:
            run = of_tree(config, self.loader.places(self.root, config.hydra.runtime.choices), overrides)
            run = self.over(run, overrides) if self.over else run
        except ERRORS as error:
            raise explain(error, self.places, overrides) from error
        with self.explained(overrides):
            above, folder = (self.root / name for name in folders_of(config, self.sweeps))
            return Point(overrides, run, folder, above, dict(config.hydra.runtime.choices))

    def settled(self, overrides: list[str]) -> list[str]:
        """The overrides with ``experiment=null`` as Hydra understands it, and an id of the hub at its commit.

        Raises:
            RunError: of another group none was chosen, or an id is none.
        """
        settled, overrides = [], typed_ids.at_commits(overrides)
        for override, parsed in zip(overrides, OverridesParser.create().parse_overrides(overrides), strict=True):
            null = typed_ids.plain(parsed) and parsed.value() is None
            if null and self.loader.repository.group_exists(group := parsed.key_or_group):
                if group != OPTIONAL_GROUP:
                    raise null_group(group, self.loader.get_group_options(group, config_name=self.config_name))
                override = f"~{OPTIONAL_GROUP}"
            settled.append(override)
        return settled

    def _asks_to_sweep(self, overrides: list[str]) -> bool:
        """Whether an override or a file asks for a sweep. What is wrong with the rest is said later."""
        try:
            return self._load(overrides, RunMode.MULTIRUN, validate=False).hydra.mode is RunMode.MULTIRUN
        except RunError:
            return False

    def _load(self, overrides: list[str], mode: RunMode, validate: bool = True) -> DictConfig:
        with self.explained(overrides), warnings.catch_warnings():
            warnings.filterwarnings("error", r"provider=.* is not available", UserWarning)
            loaded = self.loader.load_configuration(
                self.config_name, overrides, mode, validate_sweep_overrides=validate
            )
            require_plugins(loaded)
            return loaded

    @contextlib.contextmanager
    def explained(self, overrides: list[str] | None = None) -> Iterator[None]:
        """What goes wrong in Hydra, in plain words, whatever its type: it checks little of what a file may hold."""
        try:
            yield
        except RunError:
            raise
        except Exception as error:
            raise explain(error, self.places, self.overrides if overrides is None else overrides) from error


def points(conf: Path, overrides: list[str], multirun: bool) -> list[Point]:
    """The points of a command line, of this conf/ folder."""
    return CommandLine(conf.parent, overrides, multirun, config_path=conf).points()
