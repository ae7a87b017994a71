"""The trackers of a run, as the process that trains sees them: started, ended in bounded time, never waited for else.

Each follows the run folder in a process of its own (``follow``), so the run is the same with and without it. One that
fails is a warning and a line of the manifest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.files import disk_fault
from rlexp.record import status, sweeps
from rlexp.record.run_folder import TRACKING, Record, read_manifest, update_manifest
from rlexp.secrets import clean_file, learn
from rlexp.tracking.tracker import NAMES

HURRIED = 5.0
"""Seconds that trackers are waited for where a signal ended the run."""
LATER = 5.0
"""Seconds behind that time after which a tracker whose run is gone ends by itself."""
Warn = Callable[[str], None]


class Follower:
    """The process of one tracker.

    Args:
        name: of the tracker.
        more: further words for it.
        seconds: that it has once the run ended.
        warn: is told once where it fails.
    """

    def __init__(self, name: str, run_dir: Path, root: Path, more: Sequence[str], seconds: float, warn: Warn) -> None:
        self.name, self.log = name, run_dir / TRACKING / f"{name}.log"
        self._warn, self._answer, self._closing = warn, "", False
        self.failure = ""
        self.log.parent.mkdir(exist_ok=True)
        own = str(seconds + LATER)
        words = [name, str(run_dir), "--root", str(root), "--seconds", own, *more]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "rlexp.tracking.follow", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the run
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Says that the run is over."""
        self._closing = True
        assert self.process.stdin
        with contextlib.suppress(OSError):  # a word, since a process that was forked may hold the pipe open
            self.process.stdin.write("over\n")
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def outcome(self, until: float, seconds: float) -> dict[str, str]:
        """How the tracker ended, which is waited for until then; a killed one says so.

        Args:
            until: a time of the monotonic clock.
            seconds: that it had.
        """
        try:
            self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._fail(f"it did not end within {seconds:g} s, and was killed", "killed")
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join(1)
        said = self._said()
        if not self.failure and self.process.returncode:
            self._fail(self._why(said))
        clean_file(self.log)
        kept = {"place": said["place"]} if "place" in said else {}
        state = {"status": self._state, "reason": self.failure} if self.failure else {"status": "finished"}
        return {**state, **kept}

    def _read(self) -> None:
        """Waits for the answer, which is the end of the process: too early an end is a failure at once."""
        assert self.process.stdout
        with contextlib.suppress(OSError, ValueError):
            self._answer = self.process.stdout.read()
        self.process.wait()
        if not self._closing:
            self._fail(self._why(self._said()))

    def _said(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._answer))
        except ValueError:
            return {}

    def _why(self, said: dict[str, Any]) -> str:
        code = self.process.returncode
        ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return str(said.get("error") or f"its process {ended}")

    def _fail(self, why: str, state: str = "failed") -> None:
        if self.failure:
            return
        self.failure, self._state = why, state
        self._warn(
            f"tracking={self.name}: {why}; the run and its record are not touched by it, and what it said is in "
            f"{os.path.relpath(self.log)}"
        )


class Trackers:
    """The trackers of one run. A context manager around its record: leaving it ends them, with the status that the
    record has by then.

    Args:
        warn: prints one message.
    """

    def __init__(self, run: Run, run_dir: Path, root: Path, warn: Warn) -> None:
        self.run, self.run_dir, self.root, self.warn = run, run_dir, root, warn
        self.seconds = run.tracking.time_limit
        self._followers: list[Follower] = []

    def begin(self, record: Record, again: int | None = None) -> None:
        """Starts them; the record has been locked.

        Args:
            again: the step that the run goes on from, in the trackers' own runs too.
        """
        wanted = names(self.run)
        if not wanted or self._followers:
            return
        if again is None or "tracking" not in record.content:
            record.content["tracking"] = _named(self.run_dir, self.root, record.content)
            again = None
        known = record.content["tracking"].get("trackers", {})
        record.content["tracking"]["trackers"] = {name: {"status": "running"} for name in wanted}
        record.write()
        for name in wanted:
            more = ["--again", str(again)] if again is not None and name in known else []  # a new one is told all of it
            with _may_fail(name, self.warn):
                self._followers.append(Follower(name, self.run_dir, self.root, more, self.seconds, self.warn))

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        hurried = kind is not None and issubclass(kind, KeyboardInterrupt)
        _end(self._followers, self.run_dir, min(HURRIED, self.seconds) if hurried else self.seconds)


def names(run: Run) -> list[str]:
    """The trackers of a run that follow it, each once."""
    return [name for name in dict.fromkeys(run.tracking.report_to) if name in NAMES]


def tell_evaluations(run: Run, run_dir: Path, root: Path, warn: Warn) -> None:
    """Tells the evaluations of a run that ended to the runs that it has at its trackers.

    Args:
        run: as it was locked.
        warn: prints one message.
    """
    manifest = read_manifest(run_dir) or {}
    if "tracking" not in manifest:
        return
    learn(root)
    seconds, step = run.tracking.time_limit, manifest.get("steps", {}).get("done", 0)
    followers = []
    for name in names(run):
        with _may_fail(name, warn):
            more = ["--again", str(step), "--evaluations"]
            followers.append(Follower(name, run_dir, root, more, seconds, warn))
    _end(followers, run_dir, seconds)


def _end(followers: list[Follower], run_dir: Path, seconds: float) -> None:
    if not followers:
        return
    for one in followers:
        one.close()
    until = time.monotonic() + seconds
    found = {one.name: one.outcome(until, seconds) for one in followers}
    with contextlib.suppress(OSError, RunError, LookupError):  # a record that cannot be written was said before
        named = (read_manifest(run_dir) or {})["tracking"]
        update_manifest(run_dir, tracking={**named, "trackers": {**named["trackers"], **found}})


@contextlib.contextmanager
def _may_fail(name: str, warn: Warn) -> Any:
    try:
        yield
    except OSError as error:
        warn(f"tracking={name} cannot be started: {disk_fault(error) or error}")


def _named(run_dir: Path, root: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The names of a run at its trackers: its point, or its identity, and the time at which it began. The sweep of a
    point is its group."""
    began = datetime.fromtimestamp(manifest["started_unix"], UTC)
    sweep = run_dir.parent if sweeps.holds(run_dir.parent) else None
    name = f"{run_dir.name if sweep else manifest['identity']}_{began:%Y-%m-%d_%H-%M-%S.%f}"
    unique = json.dumps([name, str(run_dir.resolve()), status.process()])
    found = {"name": name, "id": hashlib.sha256(unique.encode()).hexdigest()[:16]}
    return {**found, **({"group": _group(sweep, root)} if sweep else {})}


def _group(sweep: Path, root: Path) -> str:
    """The sweep's folder below multirun/, as one word."""
    parts = sweep.resolve().relative_to(root.resolve()).parts if sweep.resolve().is_relative_to(root.resolve()) else ()
    kept = parts[1:] if parts[:1] == ("multirun",) else parts
    return "_".join(kept) or sweep.name
