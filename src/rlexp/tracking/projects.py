"""The names of projects that trackers keep as they are: a changed one merges runs of two projects without a word."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

from rlexp.errors import RunError, all_of
from rlexp.record import go_on

KEY, VARIABLE = "tracking.project", "WANDB_PROJECT"
DEFAULT = "rlexp"
LONGEST = 128
"""Characters of a name (``wandb.Settings.project``); as a file of Trackio's in bytes."""
RESERVED = re.compile(
    r"\Aregistry-|(?<=.)_(system|configs|traces|artifacts|artifact_versions|artifact_aliases|run_artifact_links"
    r"|external_run_artifact_links)\Z"
)
"""What Trackio keeps for files of its own (``SQLiteStorage.validate_project_name``, trackio 0.43)."""


def require(typed: str, trackers: Sequence[str]) -> None:
    """Checks that each tracker keeps the name of the project.

    Args:
        typed: ``tracking.project``.

    Raises:
        RunError: one would change it, or takes no such name; the nearest that it takes is named.
    """
    all_of(*(lambda name=name: _require(name, typed) for name in trackers if name != "tensorboard"))


def _require(tracker: str, typed: str) -> None:
    variable = os.environ.get(VARIABLE) if tracker == "wandb" else None
    name = variable or typed
    if not (why := fault(tracker, name)):
        return
    kept = re.sub(r"[^\w-]+", "-", name).strip("-")[: LONGEST // 4]
    kept = kept if kept and not fault(tracker, kept) else DEFAULT
    if variable:
        where, hint = f"{VARIABLE}={name:.80}", f"set {VARIABLE}={shlex.quote(kept)}"
    else:
        where, hint = f"{KEY}={name:.80}", f"type {shlex.quote(go_on.override(KEY, kept))}"
    raise RunError(f"{name!r:.80} is no name of a project for {tracker}: {why}", where=where, hint=hint)


def fault(tracker: str, name: str) -> str:
    """Why a tracker would not keep this name of a project; empty where it does."""
    if not name.strip():
        return "it is empty"
    if tracker == "wandb" and (other := sorted(set(name) & set("/\\#?%:"))):
        return f"it holds {' '.join(other)}"
    if tracker == "trackio" and re.search(r"[^\w-]", name):
        return "it keeps letters, digits, _ and - only, and would merge it with the project of that name"
    if tracker == "trackio" and RESERVED.search(name):
        return "it keeps that name for files of its own"
    size = len(name.encode()) if tracker == "trackio" else len(name)
    if tracker in ("wandb", "trackio") and size > LONGEST:
        return f"it is longer than {LONGEST} characters"
    return ""
