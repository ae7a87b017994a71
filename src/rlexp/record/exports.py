"""The record of an export: ``exports/RUN/`` with an artifact a folder, and ``manifest.json`` with hashes and verdicts.

Each artifact's folder has an ``artifact.json``: what it is of, what made it, its files. The manifest collects them with
what the gate and the benchmark found; it is written anew after every stage from the files of the stages.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp import files, shapes
from rlexp.errors import RunError
from rlexp.shapes import COUNT, INSIDE, NAME, PATH, SHA256, TEXT, mapping, record

FOLDER, ARTIFACT, MANIFEST = "exports", "artifact.json", "manifest.json"
MODELFILE = "Modelfile"
SHIPPED = "shipped.json"
"""What ``ship`` leaves when every stage is done and nothing is wrong."""
BESIDE = (MANIFEST, "benchmark.json", SHIPPED, "card")
"""What is handed on beside the artifacts."""
OWN = (*BESIDE, "gate")
"""What lies beside the artifacts, and pictures."""
PICTURES = (".svg", ".png")
FORMAT = 1
NUMBER = {"type": "number"}
OR_NONE = {"type": ["number", "null"]}
RUNTIME = {"enum": ["transformers", "llama.cpp", "onnxruntime-genai", "vllm"]}
LEVEL = {"enum": ["identical", "equivalent", "degraded", "broken"]}
OF = record({"run": PATH, "subject": {"type": "object"}, "identity": NAME}, {"step": {"type": ["integer", "null"]}})
FILE = record({"sha256": SHA256, "size": COUNT})
SCHEMA = record(
    {
        "format": {"const": FORMAT},
        "name": NAME,
        "kind": NAME,
        "type": NAME,
        "runtime": RUNTIME,
        "path": {"anyOf": [{"const": "."}, INSIDE]},
        "of": OF,
        "files": mapping(FILE, INSIDE),
        "seconds": NUMBER,
        "tools": mapping(TEXT, NAME),
        "mix": mapping(NUMBER, NAME),
        "note": {"anyOf": [TEXT, {"type": "null"}]},
        "template_kwargs": mapping({}, {"type": "string", "pattern": r"\A[A-Za-z_][A-Za-z0-9_]*\Z"}),
    },
)
"""The shape of ``artifact.json``."""
TOLD = ("kind", "type", "runtime", "path", "seconds", "tools", "mix", "note")
"""What the manifest takes over of it."""


@dataclass(frozen=True)
class Artifact:
    """An artifact, as its folder tells it."""

    folder: Path
    content: dict[str, Any]

    @property
    def name(self) -> str:
        """FORMAT-TYPE."""
        return self.content["name"]

    @property
    def path(self) -> Path:
        """What its runtime loads."""
        return (self.folder / self.content["path"]).resolve() if self.content["path"] != "." else self.folder

    @property
    def modelfile(self) -> str | None:
        """The text of its Ollama Modelfile; None of another format."""
        file = self.folder / MODELFILE
        return file.read_text(encoding="utf-8") if MODELFILE in self.content["files"] else None

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(one["size"] for one in self.content["files"].values())

    @property
    def digest(self) -> dict[str, Any]:
        """What it is by its hashes, wherever it lies."""
        return {"artifact": self.name, "files": {name: one["sha256"] for name, one in self.content["files"].items()}}


def folder_of(run_dir: Path, root: Path) -> Path:
    """Where the exports of a run lie: ``exports/`` with the run's path behind ``outputs/`` or ``multirun/``."""
    try:
        parts = run_dir.resolve().relative_to(root.resolve()).parts
    except ValueError:
        parts = (run_dir.name,)
    rest = parts[1:] if len(parts) > 1 and parts[0] in ("outputs", "multirun") else parts
    return root.joinpath(FOLDER, *rest)


def hashed(folder: Path) -> dict[str, dict[str, Any]]:
    """File -> its hash and size, of every file of a folder."""
    return {
        path.relative_to(folder).as_posix(): {"sha256": _sha256(path), "size": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ARTIFACT
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read(folder: Path) -> Artifact | None:
    """The artifact of a folder; None where it holds none.

    Raises:
        RunError: its description has another shape.
    """
    file = folder / ARTIFACT
    return Artifact(folder, shapes.read_json(file, SCHEMA, "artifact")) if file.is_file() else None


def require_whole(one: Artifact) -> None:
    """Holds the files of an artifact against its description.

    Raises:
        RunError: one is missing or another, or lies outside of its folder.
    """
    hint = f"delete {one.folder} and export again"
    if not files.lies_inside(one.path, one.folder):
        raise RunError(f"{one.name} names a file outside of its folder", where=str(one.folder / ARTIFACT), hint=hint)
    found = hashed(one.folder)
    for name, wanted in one.content["files"].items():
        if found.get(name, {}).get("sha256") != wanted["sha256"]:
            what = f"{name} of {one.name} is {'not the one that was exported' if name in found else 'missing'}"
            raise RunError(what, where=str(one.folder / name), hint=hint)
    if more := sorted(found.keys() - one.content["files"].keys()):
        raise RunError(f"{more[0]} is no file of {one.name}", where=str(one.folder / more[0]), hint=hint)


def require_inside(folder: Path, root: Path) -> None:
    """Sees that what is written and replaced below the folder of an export lies in the project.

    Raises:
        RunError: the folder, or one in it, is a link that leads elsewhere.
    """
    for path in (folder, *(folder.iterdir() if folder.is_dir() else ())):
        if not files.lies_inside(path, root if path == folder else folder) and not path.is_file():
            hint = f"take the link away, or type export.dir=exports/NAME; {MANIFEST} and artifacts are written there"
            raise RunError("a link leads out of the export's folder", where=str(path), hint=hint)


def require_own(folder: Path, shown: str) -> None:
    """Sees that a folder holds an export, or nothing.

    Args:
        shown: the folder in messages.

    Raises:
        RunError: it holds a run or other things, or is a file.
    """
    hint = "type export.dir=exports/NAME with a folder of its own"
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{shown} is a file", where=f"export.dir={shown}", hint=hint)
    manifest = folder / MANIFEST
    if manifest.is_file() and b'"artifacts"' not in manifest.read_bytes():
        raise RunError(f"{shown} holds a run, and an export would write over its record", f"export.dir={shown}", hint)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        known = path.name in OWN or path.suffix in PICTURES or path.name.startswith(".") or (path / ARTIFACT).is_file()
        if not known:
            what = f"{shown} holds other things than an export: {path.name}"
            raise RunError(what, where=f"export.dir={shown}", hint=hint)


@contextlib.contextmanager
def claimed(folder: Path, shown: str) -> Iterator[None]:
    """Makes a folder and has it for this process as long as the block lasts.

    Raises:
        RunError: another process writes there, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY)
    except OSError as error:
        hint = "change the rights of that folder, or type export.dir=exports/NAME"
        raise RunError(f"{shown} cannot be made: {error.strerror}", where=shown, hint=hint) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        hint = "wait until it ends, or type export.dir=exports/NAME"
        raise RunError(f"another process exports to {shown} at this moment", where=shown, hint=hint) from error
    try:
        yield
    finally:
        os.close(held)


def artifacts(folder: Path) -> list[Artifact]:
    """The artifacts of an export, the merged model first, by name."""
    found = [one for path in sorted(folder.glob(f"[!.]*/{ARTIFACT}")) if (one := read(path.parent))]
    return sorted(found, key=lambda one: (one.content["kind"] != "merged", one.name))


def write_json(path: Path, content: Any) -> None:
    """Writes a file of a stage, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
