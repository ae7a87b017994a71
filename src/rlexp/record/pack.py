"""A run as one file: its record, its data by hash, the code of its rewards, and weights by choice, in a zip archive.

``pack.json`` in it names every file with its hash and size, so that ``unpack`` can hold all of it against that before
it puts anything in place. The same run gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp import files, secrets
from rlexp.chosen import SELECTION
from rlexp.compose.places import Places
from rlexp.errors import RunError
from rlexp.inputs import snapshot
from rlexp.inputs.digest import file_md5, folder_files, folder_md5
from rlexp.inputs.locked import BESIDE
from rlexp.inputs.start import KEPT
from rlexp.record import checkpoints, evaluation, notes, status
from rlexp.record.finished import FOLDERS, FinishedRun
from rlexp.record.run_folder import COMPLETIONS, HEALTH, LOCK, MANIFEST, METRICS, PATCH, SOURCES
from rlexp.reward.rubric import FAILURES
from rlexp.shapes import COUNT, INSIDE, MD5, SHA256, mapping, record
from rlexp.whole import CHECKPOINTS, sha256

INDEX, FORMAT = "pack.json", 1
RUN, INPUTS, DATA = "run", "inputs", "data"
"""Folders of an archive, and the folder of a project that its data lies in."""
RECORD = (LOCK, MANIFEST, METRICS, HEALTH, PATCH, SELECTION, FAILURES, "held_out.json", "health.md", "scores.json")
FILES = (*RECORD, notes.FILE)
RECORD_FOLDERS = (SOURCES, COMPLETIONS, evaluation.FOLDER, KEPT)
WEIGHTS = {"none": (), "adapter": ("adapter", "model"), "all": ("adapter", "model", CHECKPOINTS)}
"""Choice -> the folders of a run that it adds: ``adapter`` is what was trained last, also where it is a whole model."""
MOST = 50_000
"""Files of an archive."""
STORED = (".safetensors", ".parquet", ".pt")
"""Files that no compression makes smaller."""
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


@dataclass(frozen=True)
class Packed:
    """What was packed."""

    file: Path
    index: dict[str, Any]
    notes: list[str]
    """What a colleague will not find in it."""


def pack(run: FinishedRun, file: Path, weights: str = "adapter") -> Packed:
    """Writes a run into one file, which appears whole or not at all.

    Args:
        file: where; must not exist.
        weights: one of WEIGHTS.

    Raises:
        RunError: the run is being trained, holds a link, or its data is not the locked one; or the file is there.
    """
    if file.exists():
        hint = f"name another file, or remove it: rm {file.name}"
        raise RunError(f"{file.name} is there already", where=str(file), hint=hint)
    if not file.parent.is_dir():
        raise RunError(f"there is no folder {file.parent}", where=str(file), hint=f"mkdir -p {file.parent}")
    if not run.manifest or status.of(run.manifest)[0] == "running":
        what = f"the run is {'running' if run.manifest else f'without its {MANIFEST}'}"
        raise RunError(f"{what}, and a pack holds all of it", where=str(run.run_dir), hint="wait until it ends")
    for name, md5 in carried(run.manifest, weights).items():
        if not (run.run_dir / name).is_file() or file_md5(run.run_dir / name) != md5:
            hint = "pack a run whose folder is whole; without its weights: --weights none"
            raise RunError(f"{name} is not what the run left", where=str(run.run_dir / name), hint=hint)
    inputs, said = _inputs(run)
    named = {f"{RUN}/{name}": run.run_dir / name for name in _of_run(run.run_dir, weights)}
    for digest, folder in inputs.values():
        named |= {f"{INPUTS}/{digest['md5']}/{p.relative_to(folder).as_posix()}": p for p in folder_files(folder)}
    if len(named) > MOST:
        hint = "choose fewer weights: --weights none"
        raise RunError(f"the run has {len(named)} files, a pack at most {MOST}", where=str(run.run_dir), hint=hint)
    index = {
        "format": FORMAT,
        "place": place_of(run),
        "checksum": run.lock["checksum"],
        "weights": weights,
        "files": {name: {"sha256": sha256(path), "size": path.stat().st_size} for name, path in named.items()},
        "inputs": {key: {"path": digest["path"], "md5": digest["md5"]} for key, (digest, _) in inputs.items()},
    }
    with files.whole_file(file) as partial, zipfile.ZipFile(partial, "w") as archive:
        archive.writestr(_entry(INDEX), secrets.masked(json.dumps(index, indent=1, sort_keys=True) + "\n"))
        for name, path in sorted(named.items()):
            with archive.open(_entry(name), "w", force_zip64=True) as there, path.open("rb") as stream:
                shutil.copyfileobj(stream, there, 2**20)
    return Packed(file, index, said)


def carried(manifest: dict[str, Any], weights: str) -> dict[str, str]:
    """Output of a run that a pack holds -> its hash, as the manifest has it."""
    wanted = (METRICS, *(f"{name}/" for name in WEIGHTS[weights]))
    return {name: md5 for name, md5 in manifest.get("outputs", {}).items() if name.startswith(wanted)}


def place_of(run: FinishedRun) -> str:
    """Where a run lies in its project: below outputs/ or multirun/; one from elsewhere as ``outputs/NAME``."""
    folder, root = run.run_dir.resolve(), run.root.resolve()
    inside = folder.relative_to(root) if folder.is_relative_to(root) else Path(folder.name)
    return inside.as_posix() if inside.parts[0] in FOLDERS else f"{FOLDERS[0]}/{folder.name}"


def _of_run(run_dir: Path, weights: str) -> Iterator[str]:
    """The files of a run that are packed.

    Raises:
        RunError: one is a link: what it leads to is not the run's.
    """
    found = [run_dir / name for name in FILES if (run_dir / name).is_file()]
    for name in (*RECORD_FOLDERS, *WEIGHTS[weights]):
        folders = [run_dir / name] if name != CHECKPOINTS else list(checkpoints.of(run_dir).values())
        for folder in folders:
            found += [*([folder] if folder.is_symlink() else []), *folder_files(folder)]
    for path in found:
        if any(one.is_symlink() for one in (path, *path.parents) if one.is_relative_to(run_dir) and one != run_dir):
            what = f"{path.relative_to(run_dir)} of the run folder is a link, and what it leads to is not the run's"
            raise RunError(what, where=str(path), hint="pack a copy: cp -rL RUN COPY")
        yield path.relative_to(run_dir).as_posix()


def _inputs(run: FinishedRun) -> tuple[dict[str, tuple[dict[str, Any], Path]], list[str]]:
    """(input -> (its digest in the lock, the folder of the project that holds it), what is left out).

    Raises:
        RunError: a folder of the project is not the locked one.
    """
    found, said = {}, []
    for key in ("data", "difficulty"):
        digest = run.lock["inputs"].get(key)
        if digest is None:
            continue
        if Path(digest["path"]).parts[:1] != (DATA,) or ".." in Path(digest["path"]).parts:
            said.append(f"{digest['path']} is not in it: it lies outside of {DATA}/")
            continue
        named = Places.of(run.root).path(digest["path"])
        beside = (run.root / digest["path"]).parent / BESIDE / digest["md5"].removesuffix(".dir")
        held = (one for one in (named, beside) if (one / snapshot.DESCRIPTION).is_file() or key == "difficulty")
        folder = next((one for one in held if one.is_dir() and folder_md5(one) == digest["md5"]), None)
        if folder is None:
            what = f"{digest['path']} is not what the run was trained on"
            hint = f"put it back: git checkout, dvc pull, or python -m rlexp replay {place_of(run)} --level inputs"
            raise RunError(what, where=f"expected {digest['md5'][:12]}", hint=hint)
        found[key] = (digest, folder)
    model = run.lock["inputs"]["model"]
    said.append(f"the base model is not in it: {model.get('path') or run.lock['config']['model']['name']}, by its hash")
    return found, said


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # its time is 1980, the archive's first
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
    return entry
