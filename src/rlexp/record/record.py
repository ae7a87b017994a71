"""The run folder: lock, manifest and copies of the reward sources; written as the run goes, whole at any moment."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from rlexp.errors import RunError
from rlexp.inputs.digest import file_md5, folder_md5s
from rlexp.inputs.reward_source import RewardSource
from rlexp.record.machine import git, machine

LOCK, MANIFEST, METRICS = "run.lock.yaml", "manifest.json", "metrics.jsonl"
SOURCES, PATCH = "sources", "code.patch"


class Record:
    """Keeps ``manifest.json`` of one run folder. A context manager: leaving it writes the status and the reason.

    Status is ``running``, ``finished``, ``failed`` or ``interrupted``; a folder that says ``running`` after its
    process is gone was killed.
    """

    def __init__(self, folder: Path, root: Path, identity: str, overrides: list[str]) -> None:
        self._began = time.perf_counter()
        folder.mkdir(parents=True, exist_ok=True)
        code, patch = git(root)
        if patch:
            (folder / PATCH).write_text(patch)
        self.folder = folder
        self.content: dict[str, Any] = {
            "identity": identity,
            "status": "running",
            "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "overrides": overrides,
            "pid": os.getpid(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "started_unix": time.time(),
            "git": code,
            "timings_s": {},
        }

    def __enter__(self) -> Record:
        self.write()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if kind is None:
            self.content["status"] = "finished"
        elif issubclass(kind, KeyboardInterrupt):
            self.content |= {"status": "interrupted", "reason": "stopped by a signal"}
        else:
            reason = str(error) if issubclass(kind, RunError) else f"{kind.__name__}: {error}"
            self.content |= {"status": "failed", "reason": reason}
        self.lap("total")
        self.content["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.content["machine"] = machine()
        self.content["outputs"] = outputs(self.folder)
        self.write()

    def lap(self, name: str) -> None:
        """Notes the seconds since the record began under ``name``."""
        self.content["timings_s"][name] = round(time.perf_counter() - self._began, 3)

    def write(self) -> None:
        """Writes the manifest; the old one stands until the new one is whole."""
        partial = self.folder / f".{MANIFEST}.partial"
        partial.write_text(json.dumps(self.content, indent=2) + "\n")
        partial.replace(self.folder / MANIFEST)

    def write_lock(self, content: dict[str, Any], rewards: Iterable[RewardSource]) -> None:
        """Writes ``run.lock.yaml`` and copies the reward sources it names beside it."""
        for source in rewards:
            copy = self.folder / SOURCES / source.file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.path, copy)
        (self.folder / LOCK).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a run folder, None where there is none."""
    path = folder / MANIFEST
    return json.loads(path.read_text()) if path.is_file() else None


def outputs(folder: Path) -> dict[str, str]:
    """Output file -> md5, for what a run leaves to be used: the adapter or model, and the metrics."""
    md5s = {METRICS: file_md5(folder / METRICS)} if (folder / METRICS).is_file() else {}
    for name in ("adapter", "model"):
        md5s |= {f"{name}/{path}": md5 for path, md5 in folder_md5s(folder / name).items()}
    return md5s
