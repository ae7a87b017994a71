"""What a run imports, looked for before anything is imported or written: libraries, trackers, a key."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import sys
from collections.abc import Iterator

from rlexp import project
from rlexp.compose.run import Run
from rlexp.compose.schema import Loader
from rlexp.errors import RunError
from rlexp.tracking import ready
from rlexp.tracking.tracker import NAMES


def require(run: Run) -> None:
    """Checks that what the run imports is there.

    Raises:
        RunError: a library is missing, or as ``tracking.ready``.
    """
    for name, hint in (("unsloth", project.pip_unsloth()), ("trl", project.pip("cpu"))):
        if _missing(name) and not (name == "unsloth" and run.rollout.loader is Loader.transformers):
            raise RunError(f"{name} is not installed", where=f"rollout.loader={run.rollout.loader.name}", hint=hint)
    ready.require(run)


def name_projects(run: Run) -> None:
    """Has MLflow file the run under ``tracking.project``, where its own variable does not say otherwise."""
    os.environ.setdefault("MLFLOW_EXPERIMENT_NAME", run.tracking.project)


@contextlib.contextmanager
def trackers_hidden() -> Iterator[None]:
    """Has what is imported inside find no tracker: TRL and Unsloth import those that are installed, whoever tracks.

    That takes its time, and one that is broken would end the run. Those that were imported before stay.
    """
    hidden = [name for name in NAMES if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)


def _missing(name: str) -> bool:
    if sys.modules.get(name):
        return False
    try:
        return importlib.util.find_spec(name) is None
    except (ImportError, ValueError):  # hidden by an entry in sys.modules
        return True


@contextlib.contextmanager
def kept_objects() -> Iterator[None]:
    """Nobody looks for garbage while the libraries are imported, nor later among what they made: it is kept anyway.
    Looking takes a fifth of the imports, and half a second each time that a library asks for it, as Unsloth does up to
    15 times while it loads a model (perf/results/2026-11-30_cold_start_h200.md)."""
    if not gc.isenabled() or "trl" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
