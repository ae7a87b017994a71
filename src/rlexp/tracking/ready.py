"""Whether a run's trackers can be started: package and key, looked for before anything is imported or written."""

from __future__ import annotations

import configparser
import netrc
import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse

from rlexp import project
from rlexp.compose.run import Run
from rlexp.errors import RunError, all_of, nearest
from rlexp.tracking import projects

EXTRAS = {"wandb": "track", "trackio": "track", "tensorboard": "track", "mlflow": None}
"""Tracker -> the extra of rlexp that brings it; None for one that pip installs by its name."""
OFFLINE = ("offline", "disabled", "dryrun")
"""Modes of wandb that need no key."""
MODES = ("online", *OFFLINE, "shared", "run")
"""Every mode of wandb (``wandb.Settings.mode``)."""
KEY_LENGTH = 40
"""Characters that a key of wandb has at least."""


def require(run: Run) -> None:
    """Checks that the trackers of a run are there, and can log in.

    Raises:
        RunError: one is not installed, Weights & Biases has a mode or a key that is none, or neither a key nor a mode
            without one, or a tracker would change the name of the project.
    """
    wanted = list(dict.fromkeys(run.tracking.report_to))
    checks: list[Callable[[], None]] = [lambda name=name: _require(name) for name in wanted]  # type: ignore[misc]
    all_of(*checks, lambda: projects.require(run.tracking.project, wanted))


def _require(name: str) -> None:
    where = f"tracking.report_to=[{name}]"
    if name in EXTRAS and _missing(name):
        extra = EXTRAS[name]
        hint = project.pip(extra) if extra else f"pip install {name}"
        raise RunError(f"{name} is not installed", where=where, hint=f"{hint}, or type tracking=none")
    if name == "wandb" and _wandb_mode() not in OFFLINE:
        _require_key(where)


def _missing(name: str) -> bool:
    try:
        return find_spec(name) is None
    except (ImportError, ValueError):  # hidden by an entry in sys.modules
        return True


def _wandb_mode() -> str:
    """The mode that wandb will have.

    Raises:
        RunError: it is none of wandb's, which would end its tracker.
    """
    mode = os.environ.get("WANDB_MODE")
    where = f"WANDB_MODE={mode}"
    if mode is None:
        mode, where = _wandb_setting("mode") or MODES[0], "mode of wandb's own settings"
    if mode not in MODES:
        guess = nearest(mode, MODES) or "offline"
        what = f"Weights & Biases has no mode {mode!r:.80}: there are {', '.join(MODES)}"
        raise RunError(what, where=where, hint=f"set WANDB_MODE={guess}")
    return mode


def _require_key(where: str) -> None:
    """Checks that wandb has a key, which it takes, and asks nobody.

    Raises:
        RunError: it has none, or one of another form.
    """
    key, token = os.environ.get("WANDB_API_KEY"), os.environ.get("WANDB_IDENTITY_TOKEN_FILE")
    if key and token:
        what = "WANDB_API_KEY and WANDB_IDENTITY_TOKEN_FILE are both set, and Weights & Biases takes one of them"
        raise RunError(what, where=where, hint="unset one of them")
    if token:
        return
    source = "WANDB_API_KEY" if key else "netrc"
    key = key or _key_of_netrc()
    other = "set WANDB_MODE=offline, or type tracking=none"
    if not key:
        hint = f"wandb login, or {other}"
        raise RunError("Weights & Biases has no API key on this machine", where=where, hint=hint)
    if why := key_fault(key):
        hint = f"set the whole key, as Weights & Biases shows it, or {other}"
        raise RunError(f"{source} holds no API key of Weights & Biases: {why}", where=source, hint=hint)


def key_fault(key: str) -> str:
    """Why wandb takes no such key, without a word of it; empty where it does. The rule is that of wandb 0.30
    (``wandb.sdk.lib.wbauth.validation.check_api_key``, and ``Settings.api_key``), which is not imported here."""
    if key != key.strip():
        return "it begins or ends with a space"
    if re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", key):  # a JSON web token
        return ""
    secret = key.split("-", 1)[-1]  # behind the prefix of a server of one's own
    if not re.fullmatch(r"[\w-]+", secret):
        return "it has other characters than letters, digits and underscores"
    return f"it has {len(secret)} characters, a key at least {KEY_LENGTH}" if len(secret) < KEY_LENGTH else ""


def _key_of_netrc() -> str | None:
    url = os.environ.get("WANDB_BASE_URL") or _wandb_setting("base_url") or "https://api.wandb.ai"
    for file in filter(None, (os.environ.get("NETRC"), "~/.netrc", "~/_netrc")):
        try:
            if found := netrc.netrc(Path(file).expanduser()).authenticators(urlparse(url).hostname or ""):
                return found[2]
        except (OSError, netrc.NetrcParseError):
            continue
    return None


def _wandb_setting(name: str) -> str:
    """A setting of ``wandb offline`` or ``wandb login --host``; empty where none is kept."""
    settings = configparser.ConfigParser(interpolation=None)
    folder = Path(os.environ.get("WANDB_CONFIG_DIR", "~/.config/wandb")).expanduser()
    try:
        settings.read([folder / "settings", Path("wandb/settings")])
    except configparser.Error:
        return ""
    return settings.get("default", name, fallback="")
