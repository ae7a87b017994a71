"""What a run imports, looked for before anything is imported or written: libraries, trackers, a key."""

from __future__ import annotations

import configparser
import importlib.util
import netrc
import os
import sys
from pathlib import Path
from urllib.parse import urlparse

from rlexp import project
from rlexp.compose.run import Run
from rlexp.compose.schema import Loader
from rlexp.errors import RunError

TRACKERS = {"wandb": "track", "trackio": "track", "tensorboard": "track", "mlflow": None}
"""Tracker -> the extra of rlexp that brings it; None for one that pip installs by its name."""


def require(run: Run) -> None:
    """Checks that what the run imports is there.

    Raises:
        RunError: a library or a tracker is missing, or Weights & Biases has neither a key nor a mode without one.
    """
    for name, hint in (("unsloth", project.pip_unsloth()), ("trl", project.pip("cpu"))):
        if _missing(name) and not (name == "unsloth" and run.rollout.loader is Loader.transformers):
            raise RunError(f"{name} is not installed", where=f"rollout.loader={run.rollout.loader.name}", hint=hint)
    for name in run.tracking.report_to:
        where = f"tracking.report_to=[{name}]"
        if name in TRACKERS and _missing(name):
            extra = TRACKERS[name]
            hint = project.pip(extra) if extra else f"pip install {name}"
            raise RunError(f"{name} is not installed", where=where, hint=f"{hint}, or type tracking=none")
        if name == "wandb" and not _wandb_answers():
            raise RunError(
                "Weights & Biases has no API key on this machine",
                where=where,
                hint="wandb login, or set WANDB_MODE=offline, or type tracking=none",
            )


def name_projects(run: Run) -> None:
    """Lets the trackers file the run under ``tracking.project``, where their own variables do not say otherwise."""
    for variable in ("WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME"):
        os.environ.setdefault(variable, run.tracking.project)


def _missing(name: str) -> bool:
    if sys.modules.get(name):
        return False
    try:
        return importlib.util.find_spec(name) is None
    except (ImportError, ValueError):  # hidden by an entry in sys.modules
        return True


def _wandb_answers() -> bool:
    """Whether wandb runs without asking: it has a key, or a mode that needs none."""
    if os.environ.get("WANDB_MODE", _wandb_setting("mode")) in ("offline", "disabled", "dryrun", "dry_run"):
        return True
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    url = os.environ.get("WANDB_BASE_URL") or _wandb_setting("base_url") or "https://api.wandb.ai"
    for file in filter(None, (os.environ.get("NETRC"), "~/.netrc", "~/_netrc")):
        try:
            if netrc.netrc(Path(file).expanduser()).authenticators(urlparse(url).hostname or ""):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def _wandb_setting(name: str) -> str:
    """A setting of ``wandb offline`` or ``wandb login --host``; empty where none is kept."""
    settings = configparser.ConfigParser(interpolation=None)
    folder = Path(os.environ.get("WANDB_CONFIG_DIR", "~/.config/wandb")).expanduser()
    try:
        settings.read([folder / "settings", Path("wandb/settings")])
    except configparser.Error:
        return ""
    return settings.get("default", name, fallback="")
