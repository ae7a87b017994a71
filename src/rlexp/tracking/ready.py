"""Whether a run's trackers can be started: package and key, looked for before anything is imported or written."""

from __future__ import annotations

import configparser
import netrc
import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse

from rlexp import project
from rlexp.compose.run import Run
from rlexp.errors import RunError, all_of

EXTRAS = {"wandb": "track", "trackio": "track", "tensorboard": "track", "mlflow": None}
"""Tracker -> the extra of rlexp that brings it; None for one that pip installs by its name."""
OFFLINE = ("offline", "disabled", "dryrun", "dry_run")
"""Modes of wandb that need no key."""


def require(run: Run) -> None:
    """Checks that the trackers of a run are there, and can log in.

    Raises:
        RunError: one is not installed, or Weights & Biases has neither a key nor a mode without one.
    """
    all_of(*(lambda name=name: _require(name) for name in dict.fromkeys(run.tracking.report_to)))


def _require(name: str) -> None:
    where = f"tracking.report_to=[{name}]"
    if name in EXTRAS and _missing(name):
        extra = EXTRAS[name]
        hint = project.pip(extra) if extra else f"pip install {name}"
        raise RunError(f"{name} is not installed", where=where, hint=f"{hint}, or type tracking=none")
    if name == "wandb" and not _wandb_answers():
        raise RunError(
            "Weights & Biases has no API key on this machine",
            where=where,
            hint="wandb login, or set WANDB_MODE=offline, or type tracking=none",
        )


def _missing(name: str) -> bool:
    try:
        return find_spec(name) is None
    except (ImportError, ValueError):  # hidden by an entry in sys.modules
        return True


def _wandb_answers() -> bool:
    """Whether wandb runs without asking: it has a key, or a mode that needs none."""
    if os.environ.get("WANDB_MODE", _wandb_setting("mode")) in OFFLINE:
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
