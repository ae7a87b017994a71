"""The run folder: lock, manifest and copies of the reward sources; written as the run goes, whole at any moment."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from rlexp import chosen, files, secrets, shapes
from rlexp.console import in_notebook
from rlexp.errors import RunError, Stopped, one_line
from rlexp.inputs import start, trust
from rlexp.inputs.trust import Code
from rlexp.record import attempts, left
from rlexp.record.claim import MANIFEST as MANIFEST
from rlexp.record.claim import claim_started, take_over
from rlexp.record.left import COMPLETIONS, HELD_OUT
from rlexp.record.left import HEALTH as HEALTH
from rlexp.record.left import METRICS as METRICS
from rlexp.record.machine import commit_and_patch, machine
from rlexp.record.status import process
from rlexp.reward.rubric import FAILURES
from rlexp.shapes import COUNT, INSIDE, MD5, NAME, TEXT, mapping, record
from rlexp.whole import CHECKPOINTS

LOCK, TRACKING, SOURCES, PATCH = "run.lock.yaml", "tracking", "sources", "code.patch"
CLEARED = (
    *(LOCK, METRICS, HEALTH, SOURCES, PATCH, COMPLETIONS, CHECKPOINTS, TRACKING, "adapter", "model", "smoke"),
    *(start.KEPT, chosen.SELECTION, chosen.LINK),
    *(HELD_OUT, "health.md", FAILURES, "traceback.txt", "libraries.log"),
)
"""What a run leaves in its folder beside the manifest, and a run that begins again there does not keep."""
OF_ONE_ATTEMPT = ("reason", "ended", "outputs", "evidence", "held_out", "selection", "inputs_changed", "preflight")
"""Keys of the manifest that say how an attempt went, and nothing of the next one."""
MAIN_METRICS = ("reward", "rewards/margins", "loss")
"""Held-out metrics that stand for a run in a table; the first one it has."""

NUMBER = {"type": "number"}
ERRORS = {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2, "description": "the errors before and after"}
MORE = {"standard_error": ERRORS, "best": NUMBER, "best_standard_error": {"type": ["number", "null"]}}
TRACKER = record({"status": NAME}, {"reason": TEXT, "place": TEXT})
SCHEMA = record(
    {"status": NAME},
    {
        "outputs": mapping(MD5, INSIDE),
        "evidence": mapping(MD5, INSIDE),
        "overrides": {"type": "array", "items": TEXT},
        "choices": mapping(TEXT, NAME),
        "timings_s": mapping({"type": "number", "minimum": 0}, NAME),
        "step_time_s": mapping({"type": "number", "minimum": 0}, NAME),
        "warm": {"type": "boolean"},
        "reason": TEXT,
        "host": TEXT,
        "pid": COUNT,
        "process_began": COUNT,
        "started": TEXT,
        "ended": TEXT,
        "started_unix": {"type": "number"},
        "git": record({}, {"sha": TEXT, "left_out": mapping(TEXT, TEXT)}),
        "held_out": mapping(record({"before": NUMBER, "after": NUMBER}, MORE), TEXT),
        "selection": chosen.SHAPE,
        "patches": mapping(record({"status": TEXT}), NAME),
        "reward_md5s": mapping(MD5, NAME),
        "inputs_changed": {"type": "array", "items": TEXT},
        "steps": record({"done": COUNT, "asked": {"anyOf": [COUNT, {"type": "null"}]}}),
        "attempts": attempts.SHAPE,
        "fork": record({"run": TEXT, "step": COUNT, "identity": TEXT}),
        "start": start.MANIFEST,
        "tracking": record({"name": NAME, "id": NAME, "trackers": mapping(TRACKER, NAME)}, {"group": TEXT}),
    },
)
"""The shape of a manifest: what is used of it."""


class Record:
    """Keeps ``manifest.json`` of one run folder. A context manager: leaving it writes the status and the reason. In a
    folder that holds an earlier attempt it goes on: what that one wrote stays where nothing newer takes its place.

    Status is ``running``, ``finished``, ``stopped`` (by its health), ``failed`` or ``interrupted``; a folder that says
    ``running`` after its process is gone was killed.
    """

    def __init__(
        self,
        run_dir: Path,
        root: Path,
        identity: str,
        overrides: list[str],
        config: dict[str, Any] | None = None,
        from_step: int = 0,
        again: bool = False,
    ) -> None:
        self._began = time.perf_counter()
        self._stands: set[str] = set()
        earlier = read_manifest(run_dir) or {}
        if not take_over(run_dir) and not again:
            claim_started(run_dir)
        secrets.learn(root)
        code, patch = commit_and_patch(root)
        if patch:
            files.write_text(run_dir / PATCH, patch)
        self.run_dir = run_dir
        self.root = root
        self.content: dict[str, Any] = {
            **({name: earlier[name] for name in earlier if name not in OF_ONE_ATTEMPT} if from_step else {}),
            "identity": identity,
            "status": "running",
            "argv": ["notebook"] if in_notebook() else [Path(sys.argv[0]).name, *sys.argv[1:]],
            "overrides": overrides,
            "choices": choices(config) if config else {},
            **process(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "started_unix": time.time(),
            "git": code,
            "timings_s": {},
        }
        made = attempts.before(earlier)
        self.content["attempts"] = [*made, attempts.first(self.content, from_step)]
        if made and made[0]["started"]:  # that of the first
            self.content["started"] = made[0]["started"]
        self._ended: tuple[str, str] | None = None

    def end(self, status: str, reason: str) -> None:
        """Says that the run does not finish, where no error says so."""
        self._ended = status, reason

    def __enter__(self) -> Record:
        self.write()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if kind is None:
            status, reason = self._ended or ("finished", "")
            self.content |= {"status": status, **({"reason": reason} if reason else {})}
        elif issubclass(kind, KeyboardInterrupt):
            self.content |= {"status": "interrupted", "reason": getattr(error, "reason", "stopped by a signal")}
        else:
            what = error.what if isinstance(error, RunError) else f"{kind.__name__}: {error}"
            status = "stopped" if issubclass(kind, Stopped) else "failed"
            self.content |= {"status": status, "reason": one_line(what)}  # what to type the console says
        self.mark("total")
        self.content["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
        last = {name: self.content[name] for name in ("ended", "status", "reason") if name in self.content}
        self.content["attempts"][-1] |= last
        self.content["machine"] = machine()
        self.content |= {"outputs": left.outputs(self.run_dir), "evidence": left.evidence(self.run_dir)}
        # On a full disk the old manifest stands; the error that is under way says more than this one.
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():
            self.write()

    def mark(self, name: str) -> None:
        """Notes the seconds since the record began under ``name``; a mark of an earlier attempt stands."""
        if name not in self._stands:
            self.content["timings_s"][name] = self.seconds()

    def seconds(self) -> float:
        """Those since the record began, those of earlier attempts among them."""
        return round(time.perf_counter() - self._began, 3)

    def carry(self, timings: dict[str, float], seconds: float) -> None:
        """Goes on with the times of an earlier attempt.

        Args:
            timings: its marks, which stand.
            seconds: how long it took up to where this one goes on.
        """
        self._began -= seconds
        self._stands |= timings.keys()
        self.content["timings_s"] |= timings

    def write(self) -> None:
        """Writes the manifest; the old one stands until the new one is whole."""
        _write_manifest(self.run_dir, self.content)

    def keep_lock(self, versions: dict[str, str]) -> None:
        """Leaves the lock that the run began with; where this attempt has other versions, it says so."""
        content = yaml.safe_load((self.run_dir / LOCK).read_text())
        other = {name: version for name, version in versions.items() if content["versions"].get(name) != version}
        if other:
            self.content["attempts"][-1]["versions"] = other

    def write_lock(self, content: dict[str, Any], files_of: Mapping[str, Path]) -> None:
        """Writes ``run.lock.yaml`` and copies the Python files it names beside it; this user has run them now. The
        manifest says the hashes of the rewards.

        Args:
            files_of: name -> file (``hashes.files_of``); what is no Python file is not copied.
        """
        terms = content.get("inputs", {}).get("rewards", {})
        self.content["reward_md5s"] = {name: term["md5"] for name, term in terms.items()}
        code = {name: path for name, path in files_of.items() if path.suffix == ".py" and path.is_file()}
        for name, path in code.items():
            copy = self.run_dir / SOURCES / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
        files.write_text(self.run_dir / LOCK, text)
        trust.remember([Code(self.run_dir / LOCK), *map(Code, code.values())])


def read_manifest(run_dir: Path) -> dict[str, Any] | None:
    """The manifest of a run folder, its texts without control characters; None where there is none.

    Raises:
        RunError: it cannot be read.
    """
    return shapes.read_json(run_dir / MANIFEST, SCHEMA, "manifest", shown=True)


def choices(config: dict[str, Any]) -> dict[str, str]:
    """The names that a run is called by: its method, model and dataset, and the reward's terms joined with +.

    Kept in the manifest, so that a list of runs need not read their locks, and a run that failed before it was locked
    says what it was.
    """
    names = {group: config[group]["name"] for group in ("method", "model", "dataset")}
    return {**names, "reward": "+".join(sorted(config["reward"]["terms"]))}


def main_metric(manifest: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """(name, before and after) of the held-out metric that stands for a run; None where nothing was measured."""
    rows = manifest.get("held_out") or {}
    name = next((name for name in MAIN_METRICS if name in rows), None)
    return (name, rows[name]) if name else None


def update_manifest(run_dir: Path, **facts: Any) -> None:
    """Adds to the manifest of a run that ended; the old one stands until the new one is whole."""
    _write_manifest(run_dir, {**(read_manifest(run_dir) or {}), **facts})


def _write_manifest(run_dir: Path, content: dict[str, Any]) -> None:
    files.write_text(run_dir / MANIFEST, json.dumps(content, indent=2) + "\n")
