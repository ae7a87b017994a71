"""From the config of a lock to its run, in this version and on this machine."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlexp.compose.explain import explain
from rlexp.compose.places import Places
from rlexp.compose.points import points
from rlexp.compose.run import Run, resolve
from rlexp.compose.schema import Draw
from rlexp.errors import RunError
from rlexp.project import CONF, shipped


def run_of(config: Any, root: Path, name: str) -> Run:
    """The run of a config; what is newer than the config (a group, or a key of one) has its default, or does as it was
    done then.

    Args:
        name: the file that holds the config, for messages.

    Raises:
        RunError: it is no run of this version.
    """
    places = Places.of(root)
    try:
        defaults = _defaults(root / CONF)
        tree = OmegaConf.create({**{n: defaults[n] for n in defaults.keys() - config.keys()}, **config})
        OmegaConf.update(tree, "held_out.draw", tree.held_out.get("draw", Draw.first.name))
        OmegaConf.update(tree, "rollout.compiled", tree.rollout.get("compiled", True))
        return resolve(tree, places=places)
    except (HydraException, OmegaConfBaseException) as error:
        reason = explain(error, places)
        raise RunError(reason.what, where=f"{name}: {reason.where}", hint=reason.hint) from error
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError) as error:
        message = f"its config is no run of this version: {type(error).__name__}: {error}"
        raise RunError(message, where=name, hint="it was written by another version of rlexp, or changed") from error


@functools.cache
def _defaults(conf: Path) -> dict[str, Any]:
    """The config of a run for which nothing is typed."""
    return _composed(conf, []).config()


def _composed(conf: Path, overrides: list[str]) -> Run:
    """The run of a project's options; of those that rlexp ships, where the project's do not compose here: its shared
    folder may not be on this machine."""
    try:
        return points(conf, overrides, multirun=False)[0].run
    except RunError:
        return points(shipped() / CONF, overrides, multirun=False)[0].run


def on_this_machine(run: Run, root: Path) -> Run:
    """The run as locked, or, where its GPU is not there, on what is: the same optimisation problem."""
    if run.hardware.device.name == "cpu":
        return run
    typed = ["hardware=auto", "rollout=generate", f"rollout.patches={run.rollout.patches}"]
    machine = _composed(root / CONF, typed)
    if machine.hardware.device is run.hardware.device:
        return run
    return _on(run, machine)


def on_hardware(run: Run, typed: list[str], root: Path) -> Run:
    """The run as locked, on the hardware that is typed.

    Args:
        typed: overrides of ``hardware`` alone.

    Raises:
        RunError: they name no hardware.
    """
    return _on(run, _composed(root / CONF, [*typed, "rollout=generate", f"rollout.patches={run.rollout.patches}"]))


def _on(run: Run, machine: Run) -> Run:
    config = {**run.config(), **{name: machine.config()[name] for name in ("hardware", "rollout")}}
    return resolve(OmegaConf.create(config), places=run.places)
