"""What a run imports, looked for before anything is imported or written: libraries, trackers, a key."""

from __future__ import annotations

import importlib.util
import os
import sys

from rlexp import project
from rlexp.compose.run import Run
from rlexp.compose.schema import Loader
from rlexp.errors import RunError
from rlexp.tracking import ready


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


def _missing(name: str) -> bool:
    if sys.modules.get(name):
        return False
    try:
        return importlib.util.find_spec(name) is None
    except (ImportError, ValueError):  # hidden by an entry in sys.modules
        return True
