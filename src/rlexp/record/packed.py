"""What a packed run must be: the names and hashes of its archive, its record and its data.

``pack`` holds what it is about to write against this, ``unpack`` what it read: what the one makes the other opens.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

from rlexp import shapes
from rlexp.chosen import SELECTION
from rlexp.errors import RunError
from rlexp.inputs import snapshot
from rlexp.inputs.digest import file_md5, folder_md5
from rlexp.inputs.start import KEPT
from rlexp.record import checkpoints, evaluation, lock, metrics, notes, status
from rlexp.record.left import HELD_OUT
from rlexp.record.run_folder import COMPLETIONS, HEALTH, LOCK, MANIFEST, METRICS, PATCH, SOURCES
from rlexp.reward.rubric import FAILURES
from rlexp.shapes import COUNT, INSIDE, MD5, SHA256, mapping, record
from rlexp.whole import CHECKPOINTS, fault

INDEX, FORMAT = "pack.json", 1
RUN, INPUTS, DATA = "run", "inputs", "data"
"""Folders of an archive, and the folder of a project that its data lies in."""
RECORD = (LOCK, MANIFEST, METRICS, HEALTH, PATCH, SELECTION, FAILURES, HELD_OUT, "health.md", "scores.json")
FILES = (*RECORD, notes.FILE)
RECORD_FOLDERS = (SOURCES, COMPLETIONS, evaluation.FOLDER, KEPT)
WEIGHTS = {"none": (), "adapter": ("adapter", "model"), "all": ("adapter", "model", CHECKPOINTS)}
"""Choice -> the folders of a run that it adds: ``adapter`` is what was trained last, also where it is a whole model."""
MOST = 50_000
"""Files of an archive."""
LARGEST = 32 * 2**20
"""Bytes of the index."""
SCHEMA = record(
    {
        "format": {"enum": [FORMAT], "description": f"a format that this version reads ({FORMAT})"},
        "place": INSIDE,
        "checksum": SHA256,
        "weights": {"enum": list(WEIGHTS), "description": f"one of {', '.join(WEIGHTS)}"},
        "files": mapping(record({"sha256": SHA256, "size": COUNT}), INSIDE, most=MOST),
        "inputs": mapping(record({"path": INSIDE, "md5": MD5}), {"enum": ["data", "difficulty"]}),
    }
)
"""The shape of INDEX."""
AS_IT_WAS = "put back the file that the run left (a backup, another copy of the run): a pack holds a whole record"
WITHOUT = "pack the run without its weights: --weights none"
NO_FILE = "a pack takes what a run leaves, and rows of data: move it out of there"


def read_index(text: bytes, names: Collection[str], file: Path) -> dict[str, Any]:
    """The index of an archive, held against its shape and against the names in the archive.

    Args:
        text: the index as it is stored; at most one byte more than LARGEST.
        names: the entries of the archive, the index among them.
        file: the archive.

    Raises:
        RunError: it has another shape, or names what is not there or what no run has.
    """
    try:
        index = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError):
        index = None
    shapes.require(index, SCHEMA, "pack", file)
    assert isinstance(index, dict)
    shapes.require_plain(index, "pack", file)
    if other := sorted({INDEX, *index["files"]} ^ set(names)):
        raise RunError(f"its index does not name what it holds: {other[0]!r:.80}", str(file), NO_FILE)
    for name in index["files"]:
        if not _belongs(PurePosixPath(name), index):
            raise RunError(f"{name!r:.80} is no file of a run, or of its data", str(file), NO_FILE)
    for one in index["inputs"].values():
        if not below_data(one["path"]):
            raise RunError(f"{one['path']} lies outside of {DATA}/", str(file), f"data of a pack lies below {DATA}/")
    return index


def below_data(path: str) -> bool:
    """Says whether data of a lock lies where a pack may put it: below ``data/``, not in its place."""
    parts = PurePosixPath(path).parts
    return parts[:1] == (DATA,) and len(parts) > 1 and ".." not in parts


def of_run(name: str, weights: str) -> bool:
    """Says whether a pack holds a file of a run folder; no hidden ones, such as what a killed process left half."""
    first, *rest = PurePosixPath(name).parts
    if any(part.startswith(".") for part in (first, *rest)):
        return False
    return first in (*RECORD_FOLDERS, *WEIGHTS[weights]) if rest else first in FILES


def _belongs(path: PurePosixPath, index: dict[str, Any]) -> bool:
    """Whether a file is one that a pack holds: a stranger's could lie in wait for something that reads others."""
    first, *rest = path.parts
    if str(path) != "/".join(path.parts) or not rest or any(part.startswith(".") for part in rest):
        return False
    if first == INPUTS:
        known = rest[0] in {one["md5"] for one in index["inputs"].values()}
        return known and len(rest) == 2 and (rest[1].endswith(".parquet") or rest[1].endswith(".json"))
    return first == RUN and of_run("/".join(rest), index["weights"])


def require_run(folder: Path, manifest: dict[str, Any] | None, index: dict[str, Any]) -> dict[str, Any]:
    """Reads the record as the verbs will, and holds it against its own hashes.

    Args:
        folder: of the run; what a pack does not hold is not looked at.
        manifest: of the run, as it is packed.

    Returns:
        The lock.

    Raises:
        RunError: it is no whole record of a run that ended.
    """
    if not (folder / LOCK).is_file():
        raise RunError(f"it has no {LOCK}", str(folder / LOCK), AS_IT_WAS)
    locked = lock.read_lock(folder / LOCK)
    if manifest is None:
        raise RunError(f"it has no {MANIFEST}", str(folder / MANIFEST), AS_IT_WAS)
    if manifest["status"] == "running":
        where = f"{MANIFEST}: process {manifest.get('pid')} on {manifest.get('host')}"
        hint = "wait until it ends; whether it was killed is known on its own machine only: pack it there"
        raise RunError("the run is running, and a pack holds all of it", where, hint)
    if locked["checksum"] != index["checksum"]:
        raise RunError("its lock is that of another run", str(folder / LOCK), AS_IT_WAS)
    notes.read(folder)
    metrics.entries(folder)
    for one in evaluation.of_run(folder):
        evaluation.read(one)
    for term in locked["inputs"]["rewards"].values():
        copied = folder / SOURCES / term["file"]
        if not copied.is_file() or file_md5(copied) != term["md5"]:
            raise RunError(f"{term['file']} is not the code of its reward", str(copied), AS_IT_WAS)
    for name, md5 in {**manifest.get("outputs", {}), **manifest.get("evidence", {})}.items():
        if of_run(name, index["weights"]):
            _require_output(folder, name, md5)
    chosen = WEIGHTS[index["weights"]]
    kept = checkpoints.of(folder).values() if CHECKPOINTS in chosen else ()
    for place in (*(folder / name for name in chosen if name != CHECKPOINTS), *kept):
        if place.is_dir() and (why := fault(place)):
            raise RunError(f"{place.name} is not whole: {why}", str(place), WITHOUT)
    return locked


def _require_output(folder: Path, name: str, md5: str) -> None:
    """Holds what the manifest says that the run left against its hash, whatever it is."""
    path, top = folder / name, PurePosixPath(name).parts[0]
    of_weights = top in WEIGHTS["all"]
    if of_weights and not (folder / top).is_dir():
        raise RunError(f"the weights of the run ({top}/) are not in its folder", str(folder / top), WITHOUT)
    hint = f"put them back from a backup, or {WITHOUT}" if of_weights else AS_IT_WAS
    if not path.exists():
        raise RunError(f"{name}, which the run left, is not there", str(path), hint)
    if (folder_md5(path) if path.is_dir() else file_md5(path)) != md5:
        raise RunError(f"{name} is not what the run left", str(path), hint)


def require_input(folder: Path, key: str, one: dict[str, Any], locked: dict[str, Any], file: Path) -> None:
    """Holds the data of a run against its lock.

    Args:
        one: what the index says of it.
        locked: the lock.

    Raises:
        RunError: it is not what was locked.
    """
    digest = locked["inputs"].get(key, {})
    if (digest.get("path"), digest.get("md5")) != (one["path"], one["md5"]) or folder_md5(folder) != one["md5"]:
        raise RunError(f"its {key} is not what the lock names", str(file), AS_IT_WAS)
    if key == "data":
        snapshot.describe(folder)


def settled(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest as it travels: that of a run whose process is certainly gone says ``killed``, which no other machine
    could find out."""
    stands, reason = status.of(manifest)
    if stands == manifest.get("status"):
        return manifest
    ended = {"status": stands, "reason": reason}
    *before, last = manifest.get("attempts") or [None]
    return {**manifest, **ended, **({"attempts": [*before, {**last, **ended}]} if last else {})}
