"""The weights that a run begins with (``model.start``) as an input: found, held against their hash, and what is locked
of them.

An adapter goes on beside its base. Merged, or where every weight was trained, it is the base: a folder of its own,
``models/merged_HASH``, which is made once, or the ``model/`` of the run that trained it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rlexp import shapes
from rlexp.compose import hub, start
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.files import whole_folder
from rlexp.inputs import merge
from rlexp.inputs.digest import combined_md5, folder_md5, folder_md5s, json_sha256
from rlexp.shapes import COUNT, INSIDE, MD5, NAME, PATH, SHA256, mapping, record
from rlexp.whole import CHECKPOINTS

KEPT = "start"
"""The folder of a run that holds a copy of the adapter it began with; below pinned/, the stage before it."""
IDENTITY = {"type": "string", "pattern": r"\A[0-9a-f]{16}\Z", "description": "an identity of 16 hex digits"}
NAMED = {"anyOf": [PATH, {"type": "null"}]}
MODEL = record({"md5": MD5, "files": mapping(MD5, INSIDE)}, {"path": PATH, "hub_id": NAMED, "revision": NAMED})
LOCKED = record(
    {
        "run": PATH,
        "step": {"anyOf": [COUNT, {"type": "null"}]},
        "identity": IDENTITY,
        "sha256": SHA256,
        "files": mapping(MD5, NAME),
        "full": {"type": "boolean"},
        "merged": {"type": "boolean"},
        "base": MODEL,
    },
    {"source": {"$ref": "#/$defs/start"}},
)
"""The shape of a start in a lock; ``source`` is that of the run it is of, and so on to the first."""
DEFS = {"start": LOCKED}
_SHORT = {key: LOCKED["properties"][key] for key in ("run", "step", "identity", "sha256", "full", "merged")}
MANIFEST = record(_SHORT, {"before": {"type": "array", "items": record(_SHORT)}})
"""The shape of a start in a manifest (``manifest``)."""
_LOCK = {
    **record(
        {
            "identity": IDENTITY,
            "checksum": SHA256,
            "config": record({"model": record({"name": NAME})}),
            "inputs": record({"model": MODEL}, {"start": {"$ref": "#/$defs/start"}}),
        }
    ),
    "$defs": DEFS,
}
"""What is read of the lock of the run that another begins with."""


@dataclass(frozen=True)
class Begun:
    """The weights that a run begins with, on this machine."""

    weights: Path
    """The folder of the adapter, or of the model of which every weight was trained."""
    digest: dict[str, Any]
    """What the lock says of them (LOCKED)."""
    base: Path | None
    """The folder of the model that they are of; None for one of the hub."""
    model: str | None = None
    """The folder that is the base from now on, from the project; None where it is the one the run names."""
    step_files: tuple[str, ...] | None = None
    """Files of a checkpoint that are a model, where they are copied to ``model``."""

    @property
    def adapter(self) -> Path | None:
        """The adapter that goes on; None where a fresh one is trained."""
        return None if self.digest["merged"] or self.digest["full"] else self.weights

    def make(self, root: Path) -> bool:
        """Makes the folder that is the base from now on, where it is not there; says whether it was made."""
        folder = root / (self.model or "")
        if self.model is None or (folder / "config.json").is_file():
            return False
        if self.digest["merged"]:
            assert self.base is not None
            base = self.digest["base"].get("path") or self.digest["base"].get("hub_id")
            print(f"making {self.model}: {base} with the adapter of {self.digest['run']} in its weights", flush=True)
            merge.write(self.base, self.weights, folder)
        else:
            print(f"copying {self.digest['run']} at step {self.digest['step']} to {self.model}", flush=True)
            merge.write(self.weights, None, folder, self.step_files)
        return True


def merged_place(sha256: str) -> str:
    """The folder of a base that was made of a start, from the project's."""
    return f"models/merged_{sha256[:12]}"


def find(run: Run, root: Path, model: Path | None) -> Begun | None:
    """The weights that ``run.model.start`` names; None where it names none.

    Args:
        model: the folder of the model that the run names; None for one of the hub.

    Raises:
        RunError: they are not there, not those of ``start_sha256``, or of another model.
    """
    if run.model.start is None:
        return None
    found = start.at(run.model.start, root)
    if found.sha256 != run.model.start_sha256:
        what = f"the weights of {found.typed} are not those that were composed"
        where = f"{start.HASH}: expected {str(run.model.start_sha256)[:16]}, actual {found.sha256[:16]}"
        raise RunError(what, where, f"type {start.KEY}={found.typed} without {start.HASH} for what lies there now")
    lock = _read(found.place / start.LOCK)
    base = _base(run, root, model, found, lock)
    named = {"run": found.run, "step": found.step, "identity": lock["identity"], "sha256": found.sha256}
    digest = {
        **named,
        "files": folder_md5s(found.folder, found.files),
        "full": found.full,
        "merged": run.model.start_merged,
        "base": {key: lock["inputs"]["model"].get(key) for key in ("path", "hub_id", "revision", "md5", "files")},
    }
    digest["base"] = {key: value for key, value in digest["base"].items() if value is not None}
    if source := lock["inputs"].get("start"):
        digest["source"] = source
    place, files = lock["inputs"]["model"].get("path"), None
    plain = place == lock["config"]["model"].get("path")
    own = None if plain else place  # the run began from a base that was made, and so does this one
    if run.model.start_merged:
        own = merged_place(found.sha256)
    elif found.full and found.folder.parent.name == CHECKPOINTS:
        own, files = merged_place(found.sha256), tuple(found.files)
    elif found.full:
        inside = found.folder.is_relative_to(root)
        own = found.folder.relative_to(root).as_posix() if inside else found.folder.as_posix()
    if run.model.start_merged and base is None:
        base = hub.cached(run) or Path(_download(run))
    return Begun(found.folder, digest, base, own, files)


def _download(run: Run) -> str:
    import huggingface_hub

    return str(huggingface_hub.snapshot_download(str(run.model.hub_id), revision=run.model.revision))


def _read(file: Path) -> dict[str, Any]:
    """What is read of a lock, its checksum verified."""
    hint = "take the run from where it came from"
    try:
        content = yaml.load(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RunError(f"the lock cannot be read: {str(error).splitlines()[0]}", str(file), hint) from error
    shapes.require(content, _LOCK, "lock", file)
    shapes.require_plain(content, "lock", file)
    if content["checksum"] != json_sha256({key: value for key, value in content.items() if key != "checksum"}):
        raise RunError("the lock was changed after it was written", str(file), hint)
    return content


def _base(run: Run, root: Path, model: Path | None, found: start.Start, lock: dict[str, Any]) -> Path | None:
    """The folder of the model that the start is of; None for one of the hub.

    Raises:
        RunError: the run names another model, or that folder is not what it was.
    """
    of, locked = lock["config"]["model"], lock["inputs"]["model"]
    where = f"model={run.model.name}, {start.KEY}={found.typed}"
    named = [of.get("path"), of.get("hub_id") if of.get("path") is None else None]
    asked = [run.model.path, run.model.hub_id if run.model.path is None else None]
    plain = locked.get("path") == of.get("path")
    if model is not None and plain and locked.get("path") is not None:
        if folder_md5(model) == locked["md5"] if model.is_dir() else named == asked:
            return model
        if named == asked:
            what = f"{run.model.path} is not the model that {found.run} was trained on: its files changed"
            raise RunError(what, where, "git checkout it, or dvc checkout, or train the start again")
    elif named == asked and (model is not None or of.get("revision") == run.model.revision):
        if plain:
            return None
        folder = root / locked["path"]
        if folder.is_dir() and folder_md5(folder) == locked["md5"]:
            return folder
        what = f"the base of {found.run} is not there as it was: {locked['path']}"
        raise RunError(what, where, f"python -m rlexp replay {found.run} makes it again")
    option = run.places.option_file(f"model/{of['name']}").is_file()
    typed = of["name"] if option else named[0] or f"hub:{named[1]}"
    if not option and named[0] is None and of.get("revision"):
        typed += f"@{of['revision']}"
    other = run.model.name if run.model.name != of["name"] else str(asked[0] or asked[1])
    what = f"{found.run} was trained on {of['name']} ({named[0] or named[1]}), not on {other}"
    raise RunError(what, where, f"type model={typed}")


def keep(begun: Begun, run_dir: Path) -> None:
    """Copies the adapter that a run begins with below its folder, to be trained again from there; no whole model."""
    if begun.digest["full"] or (run_dir / KEPT).exists():
        return
    with whole_folder(run_dir / KEPT) as partial:
        for name in begun.digest["files"]:
            shutil.copyfile(begun.weights / name, partial / name)


def is_it(folder: Path, digest: dict[str, Any]) -> bool:
    """Says whether a folder holds the weights of a start, by their hash."""
    names = digest["files"]
    if not folder.is_dir() or not all((folder / name).is_file() for name in names):
        return False
    try:
        return start.sha256(folder, names) == digest["sha256"]
    except (OSError, RunError):
        return False


def folder_hash(digest: dict[str, Any]) -> str:
    """DVC's hash of the folder that holds the files of a start alone."""
    return combined_md5(digest["files"])


def lineage(digest: dict[str, Any]) -> list[dict[str, Any]]:
    """The starts of a lock, the nearest first: run, step, identity, sha256, merged."""
    found, current = [], digest
    while current:
        found.append({key: current[key] for key in _SHORT})
        current = current.get("source", {})
    return found


def words(digest: dict[str, Any]) -> list[str]:
    """A start and those before it, a line each: ``outputs/dpo (run a1b2, weights c3d4), its adapter goes on``."""
    said = []
    for one in lineage(digest):
        step = "" if one["step"] is None else f" at step {one['step']}"
        how = "a whole model" if one["full"] else "merged into its base" if one["merged"] else "its adapter goes on"
        said.append(f"{one['run']}{step} (run {one['identity']}, weights {one['sha256'][:8]}), {how}")
    return said


def manifest(digest: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says of a start: the nearest, and those before it."""
    first, *rest = lineage(digest)
    return {**first, "before": rest}
