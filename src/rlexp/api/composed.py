"""A ``Run`` from overrides, as they are typed on the command line."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from rlexp.api.place import inside, project_of
from rlexp.compose.points import CommandLine
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.train import forked

OF_A_SWEEP = ("hydra.mode=", "hydra.sweep", "hydra/sweeper", "hydra.launcher", "hydra/launcher")
"""Overrides of Hydra's own settings that say how a sweep goes, and nothing of one run."""


@dataclass(frozen=True)
class Typed:
    """What a Run was composed from: a Run itself is data, and says nothing of it."""

    overrides: tuple[str, ...]
    root: Path

    def line(self) -> CommandLine:
        """The command line that composes it, to be read anew: the folder of a run bears the time."""
        return forked.over(CommandLine(self.root, list(self.overrides)), self.root)


_typed: dict[int, tuple[weakref.ref[Run], Typed]] = {}
"""By ``id``: a Run holds dicts, so it is no key itself."""


def compose(*overrides: str, root: str | os.PathLike[str] | None = None) -> Run:
    """One checked run, as ``python -m rlexp plan`` composes it; writes nothing.

    Args:
        overrides: as typed on the command line: ``"method=grpo"``, ``"method.beta=0.04"``.
        root: the project folder, or one within it; None for that of the working directory.

    Raises:
        RunError: there is no project, the overrides cannot be composed, or they name several runs.
    """
    place = project_of(root)
    with inside(place):
        line = forked.over(CommandLine(place, _texts("compose", overrides)), place)
        _require_one(line)
        (point,) = line.points()
        return _known(point.run, line.overrides, place)


def points(*overrides: str, root: str | os.PathLike[str] | None = None) -> list[Run]:
    """The checked run of every point of a sweep, in the order in which ``-m`` trains them; writes nothing.

    Trained with ``train``, each is a run of its own below outputs/, and no point of a sweep's folder.

    Args:
        overrides: as typed behind ``-m``: ``"method.beta=0,0.04"``.
        root: as ``compose``.

    Raises:
        RunError: a point is not possible, or another sweeper than Hydra's own makes them as it goes.
    """
    place = project_of(root)
    with inside(place):
        line = forked.over(CommandLine(place, _texts("points", overrides), multirun=True), place)
        made, of_hydra = line.points(), line.config.hydra.overrides.hydra
        shared = [override for override in of_hydra if not override.startswith(OF_A_SWEEP)]
        return [_known(point.run, [*point.overrides, *shared], place) for point in made]


def typed_of(run: Run) -> Typed:
    """What a run was composed from.

    Raises:
        RunError: ``compose`` did not make it, or it was changed since.
    """
    reference, typed = _typed.get(id(run), (None, None))
    if typed is None or reference is None or reference() is not run:
        raise RunError(
            "this Run was not made by api.compose, or it was changed since, so a lock could not say what was typed"
            if isinstance(run, Run)
            else f"a Run is asked for, and this is a {type(run).__name__}",
            where="rlexp.api",
            hint='change it where it is made: api.compose("method.max_steps=5", ...)',
        )
    return typed


def _known(run: Run, overrides: Sequence[str], root: Path) -> Run:
    key = id(run)
    _typed[key] = weakref.ref(run, lambda gone: _forget(key, gone)), Typed(tuple(overrides), root)
    return run


def _forget(key: int, gone: weakref.ref[Run]) -> None:
    if _typed.get(key, (None,))[0] is gone:
        del _typed[key]


def _texts(name: str, overrides: Sequence[str]) -> list[str]:
    for one in overrides:
        if not isinstance(one, str):
            raise RunError(
                f"an override is a text, as on the command line, and {one!r:.80} is a {type(one).__name__}",
                where=f"api.{name}",
                hint=f'write it out: api.{name}("method=grpo", "seed=1"); of a list: api.{name}(*overrides)',
            )
        if one.startswith("-"):
            raise RunError(
                f"{one} is an option of the command line, and no override",
                where=f"api.{name}",
                hint="api.points(...) makes the runs of a sweep"
                if one in ("-m", "--multirun")
                else f"leave out {one}; the project's folder is root=...",
            )
    return list(overrides)


def _require_one(line: CommandLine) -> None:
    try:
        parsed = OverridesParser.create().parse_overrides(line.overrides)
    except OverrideParseException:
        return  # said when it is composed
    several = [str(override.input_line) for override in parsed if override.is_sweep_override()]
    if several or line.sweeps:
        named = " ".join(several) or "hydra.mode=MULTIRUN"
        raise RunError(
            f"compose makes one run, and {named} asks for several",
            where="api.compose",
            hint="api.points(...) makes a list of them; for one run name one value",
        )
