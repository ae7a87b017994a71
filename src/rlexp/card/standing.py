"""What of an export is there: a card speaks of artifacts whose files are those that the gate held against the run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.compose.exports import FIRST, ROOT
from rlexp.compose.schema_export import Gate
from rlexp.errors import RunError
from rlexp.record import exports, gates, go_on
from rlexp.record.finished import FinishedRun


@dataclass(frozen=True)
class Standing:
    """An export as it lies there."""

    manifest: dict[str, Any]
    """The manifest with the artifacts that are there; empty of a run that was not exported."""
    gone: list[str]
    """Artifacts that the manifest names and that are there no more."""
    beside: list[str]
    """Artifacts that the last export did not hold against the run."""
    place: str
    """The folder, from the project's."""
    again: str
    """The command that exports the same."""


def of(run: FinishedRun, folder: Path) -> Standing:
    """How an export stands; every file of it is read.

    Raises:
        RunError: it is of another run, or an artifact has other files than those that were held against the run.
    """
    manifest = gates.manifest(folder)
    if manifest and manifest["of"]["identity"] != run.lock["identity"]:
        hint = "type --dir=exports/NAME, where those of this run are, or export it anew"
        raise RunError(f"the exports of {manifest['of']['run']} as it was then lie there", where=str(folder), hint=hint)
    again = command(run, folder, manifest)
    artifacts, gone = {}, []
    for name, told in manifest.get("artifacts", {}).items():
        one = exports.read(folder / name)
        if one is None:
            gone.append(name)
            continue
        exports.require_whole(one)
        if one.digest["files"] != {file: of["sha256"] for file, of in told["files"].items()}:
            what = f"{name} is not the one that was held against the run"
            raise RunError(what, where=str(one.folder), hint=f"type {again}")
        artifacts[name] = told
    beside = [one.name for one in exports.artifacts(folder) if one.name not in manifest.get("artifacts", {})]
    present = {**manifest, "artifacts": artifacts} if manifest else {}
    return Standing(present, gone, beside, os.path.relpath(folder, run.root), again)


def command(run: FinishedRun, folder: Path, manifest: dict[str, Any]) -> str:
    """The command that exports the same, as far as the manifest tells it: formats, types, settings of the gate."""
    name, step = os.path.relpath(run.run_dir, run.root), (manifest.get("of") or {}).get("step")
    artifacts = list(manifest.get("artifacts", {}).values())
    types: dict[str, list[str]] = {}
    for one in artifacts:
        types.setdefault(one["kind"], []).append(one["type"])
    words = [f"{ROOT}={'+'.join(sorted(types, key=lambda kind: kind != FIRST))}"] if types else []
    words += [f"{ROOT}.{kind}.types=[{','.join(some)}]" for kind, some in types.items() if kind != FIRST]
    default = Gate()
    found = {
        "rows": [one["gate"]["greedy"]["rows"] for one in artifacts if "greedy" in one["gate"]],
        "tokens": [_tokens(one) for one in artifacts if _tokens(one)],
        "margin": [one["task"]["margin"] for one in artifacts if one["task"]],
    }
    words += [f"{ROOT}.gate.{key}={max(of)}" for key, of in found.items() if of and max(of) != getattr(default, key)]
    if folder.resolve() != exports.folder_of(run.run_dir, run.root).resolve():
        words.append(f"{ROOT}.dir={os.path.relpath(folder, run.root)}")
    return go_on.line("export", name if step is None else f"{name}@{step}", *words)


def _tokens(one: dict[str, Any]) -> int:
    """The tokens that an artifact was compared on; as many are asked for to have the same completions."""
    return int(((one["gate"].get("divergence") or {}).get("tokens") or {"value": 0})["value"])
