"""A run folder as a list shows it: read from its manifest, and from its lock only for what is asked of the config."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from rlexp.errors import RunError
from rlexp.record import metrics, notes, status
from rlexp.record.notes import Notes
from rlexp.record.run_folder import LOCK, choices, main_metric, read_manifest

MISSING = object()
"""The value of a key that a run does not have."""
CHOICES = ("method", "model", "dataset", "reward")
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, many times quicker, where PyYAML was built with it."""


@dataclass(frozen=True)
class RunRow:
    """One run."""

    place: Path
    folder: str
    """From the project folder."""
    manifest: dict[str, Any]
    status: str
    """The status of the manifest, or ``killed``, or ``unreadable``."""
    reason: str = ""

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """The locked config; empty where there is no lock. Its checksum is not asked: the list replays nothing."""
        return self._lock["config"] if self._lock else {}

    @functools.cached_property
    def _lock(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
            content = yaml.load((self.place / LOCK).read_text(), LOADER)
            if isinstance(content, dict) and isinstance(content.get("config"), dict):
                return content
        return {}

    @functools.cached_property
    def notes(self) -> Notes:
        """What people said of it; of a file that cannot be read nothing: the run is listed all the same."""
        with contextlib.suppress(RunError):
            return notes.read(self.place)
        return Notes()

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """The name of each of CHOICES; from the lock where the manifest does not say it."""
        if self.manifest.get("choices"):
            return self.manifest["choices"]
        return choices(self.config) if self.config else {}

    @functools.cached_property
    def reward_md5s(self) -> dict[str, str]:
        """Term -> the hash of its file; from the lock where the manifest is older than that key."""
        if "reward_md5s" in self.manifest:
            return self.manifest["reward_md5s"]
        terms = self._lock.get("inputs", {}).get("rewards", {}) if self.names else {}
        return {name: str(term["md5"]) for name, term in terms.items() if isinstance(term, dict) and "md5" in term}

    @property
    def typed(self) -> list[str]:
        """The overrides that the other columns do not show, behind the verb where it was not ``train``."""
        verb = [self.manifest["verb"]] if "verb" in self.manifest else []
        return verb + [o for o in self.manifest.get("overrides", []) if o.partition("=")[0] not in CHOICES]

    @property
    def metric(self) -> tuple[str, float, float] | None:
        """(name, before, after) of the main held-out metric."""
        main = main_metric(self.manifest)
        return (main[0], float(main[1]["before"]), float(main[1]["after"])) if main else None

    @property
    def started(self) -> float | None:
        """Seconds since the epoch."""
        text = self.manifest.get("started")
        return datetime.fromisoformat(text).timestamp() if text else None

    @property
    def duration(self) -> float | None:
        """Seconds it took, or takes so far; None where nobody saw its end."""
        if self.status == "running" and self.started:
            return max(0.0, time.time() - self.started)  # the clock may have been set back
        return self.manifest.get("timings_s", {}).get("total")

    @functools.cached_property
    def steps(self) -> tuple[int, int] | None:
        """(done, asked) of its optimizer steps, as ``steps_of`` finds them."""
        return steps_of(self.place, self.manifest, self.status)

    def value(self, key: str) -> Any:
        """The value of a column, or of a dotted key of the locked config; MISSING where this run has none.

        A group of the config answers with its name: ``hardware`` is ``cpu``.
        """
        if key in COLUMNS:
            found = COLUMNS[key](self)
            return MISSING if found in (None, "") or found != found else found
        found = self.config
        for name in key.split("."):
            found = found.get(name, MISSING) if isinstance(found, dict) else MISSING
        return found["name"] if isinstance(found, dict) and "name" in found else found


COLUMNS: dict[str, Callable[[RunRow], Any]] = {
    "folder": lambda run: run.folder,
    "started": lambda run: run.started,
    "status": lambda run: run.status,
    "method": lambda run: run.names.get("method"),
    "model": lambda run: run.names.get("model"),
    "dataset": lambda run: run.names.get("dataset"),
    "reward": lambda run: run.names.get("reward"),
    "typed": lambda run: " ".join(run.typed),
    "metric": lambda run: run.metric[2] if run.metric else None,
    "duration": lambda run: run.duration,
    "tag": lambda run: list(run.notes.tags),
    "owner": lambda run: run.notes.owner,
    "note": lambda run: run.notes.note,
}
"""Column -> what it is filtered and sorted by; ``metric`` is the one after training."""
SAID = ("tag", "owner", "note")
"""Columns that people fill (``runs tag``)."""


def steps_of(run_dir: Path, manifest: dict[str, Any], stands: str) -> tuple[int, int] | None:
    """(done, asked) of the optimizer steps of a run; None where that is not known. Of one that did not write its end,
    those that were logged.

    Args:
        stands: its status (``status.of``).
    """
    steps = manifest.get("steps")
    if not steps or steps["asked"] is None:
        return None
    entries = metrics.readable(run_dir)[0] if stands in ("running", "killed", "failed") else []
    logged = [entry["step"] for entry in entries if type(entry.get("step")) is int]
    return max([steps["done"], *logged]), steps["asked"]


def read(run_dir: Path, root: Path) -> RunRow:
    """A run folder as the list shows it; one whose manifest is broken has the status ``unreadable``."""
    name = run_dir.relative_to(root).as_posix()
    try:
        manifest = read_manifest(run_dir) or {}
        run = RunRow(run_dir, name, manifest, *status.of(manifest))
        to_json(run)
    except (RunError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return RunRow(run_dir, name, {}, "unreadable", error.what if isinstance(error, RunError) else repr(error))
    return run


def reward_names(runs: Sequence[RunRow]) -> dict[str, str]:
    """Folder -> the reward of each run as a list shows it. A term whose file differs among them bears its hash: two
    runs with other code under one name never look the same."""
    codes: dict[str, set[str]] = {}
    for run in runs:
        for name, md5 in run.reward_md5s.items():
            codes.setdefault(name, set()).add(md5)
    shown = {}
    for run in runs:
        terms = run.names.get("reward", "").split("+")
        marks = {name: f"@{md5[:7]}" for name, md5 in run.reward_md5s.items() if len(codes[name]) > 1}
        shown[run.folder] = "+".join(name + marks.get(name, "") for name in terms)
    return shown


def to_json(run: RunRow) -> dict[str, Any]:
    """The run as JSON values: what ``--json`` prints."""
    metric = dict(zip(("name", "before", "after"), run.metric, strict=True)) if run.metric else None
    return {
        "folder": run.folder,
        "started": run.manifest.get("started"),
        "status": run.status,
        **({"reason": str(run.reason)} if run.reason else {}),
        **{name: run.names.get(name) for name in CHOICES},
        **({"reward_md5s": run.reward_md5s} if run.reward_md5s else {}),
        "typed": run.typed,
        "metric": metric,
        **({"steps": to_json_steps(run)} if run.steps else {}),
        **({"fork": run.manifest["fork"]} if "fork" in run.manifest else {}),
        "duration": run.duration,
        "identity": run.manifest.get("identity"),
        **({"start": run.manifest["start"]} if run.manifest.get("start") else {}),
        **({"tags": list(run.notes.tags)} if run.notes.tags else {}),
        **({"owner": run.notes.owner} if run.notes.owner else {}),
        **({"note": run.notes.note} if run.notes.note else {}),
    }


def to_json_steps(run: RunRow) -> dict[str, int] | None:
    """The steps that a run did and was asked, as JSON values; None where they are not known."""
    return dict(zip(("done", "asked"), run.steps, strict=True)) if run.steps else None
