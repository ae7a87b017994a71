"""A run as one file: its record, its data by hash, the code of its rewards, and weights by choice, in a zip archive.

``pack.json`` in it names every file with its hash and size, so that ``unpack`` can hold all of it against that before
it puts anything in place. The same run gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rlexp import files, secrets
from rlexp.compose.places import Places
from rlexp.errors import RunError
from rlexp.inputs import snapshot
from rlexp.inputs.digest import folder_files, folder_md5
from rlexp.inputs.locked import BESIDE
from rlexp.record import checkpoints, finished, packed
from rlexp.record.finished import FOLDERS, FinishedRun
from rlexp.record.packed import DATA, FILES, INDEX, INPUTS, MOST, RECORD_FOLDERS, RUN, WEIGHTS
from rlexp.record.run_folder import MANIFEST
from rlexp.whole import CHECKPOINTS, sha256

SUFFIX = ".zip"
STORED = (".safetensors", ".parquet", ".pt")
"""Files that no compression makes smaller."""


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
        RunError: the run is being trained, its record is not whole, it holds a link, or its data is not the locked one;
            or the file cannot be written.
    """
    _require_place(file, run)
    manifest = packed.settled(run.manifest)
    base = {"format": packed.FORMAT, "place": place_of(run), "checksum": run.lock["checksum"], "weights": weights}
    locked = packed.require_run(run.run_dir, manifest or None, base)
    inputs, said = _inputs(run)
    named = {f"{RUN}/{name}": run.run_dir / name for name in _of_run(run.run_dir, weights)}
    for digest, folder in inputs.values():
        named |= {f"{INPUTS}/{digest['md5']}/{p.relative_to(folder).as_posix()}": p for p in folder_files(folder)}
    if len(named) > MOST:
        hint = "choose fewer weights: --weights none"
        raise RunError(f"the run has {len(named)} files, a pack at most {MOST}", where=str(run.run_dir), hint=hint)
    texts = {} if manifest is run.manifest else {f"{RUN}/{MANIFEST}": _json(manifest, indent=2, sort_keys=False)}
    index = {
        **base,
        "files": {name: _told(path, texts.get(name)) for name, path in named.items()},
        "inputs": {key: {"path": digest["path"], "md5": digest["md5"]} for key, (digest, _) in inputs.items()},
    }
    text = _json(index)
    packed.read_index(text, {INDEX, *named}, file)
    for key, (_, folder) in inputs.items():
        packed.require_input(folder, key, index["inputs"][key], locked, file)
    with files.whole_file(file) as partial, zipfile.ZipFile(partial, "w") as archive:
        archive.writestr(_entry(INDEX), text)
        for name, path in sorted(named.items()):
            held: IO[bytes] = io.BytesIO(texts[name]) if name in texts else path.open("rb")
            with archive.open(_entry(name), "w", force_zip64=True) as there, held as stream:
                shutil.copyfileobj(stream, there, 2**20)
    return Packed(file, index, said)


def _json(content: dict[str, Any], indent: int = 1, sort_keys: bool = True) -> bytes:
    return (secrets.masked(json.dumps(content, indent=indent, sort_keys=sort_keys)) + "\n").encode()


def _told(path: Path, text: bytes | None) -> dict[str, Any]:
    """The hash and size of a file, or of the text that is packed in its place."""
    if text is not None:
        return {"sha256": hashlib.sha256(text).hexdigest(), "size": len(text)}
    return {"sha256": sha256(path), "size": path.stat().st_size}


def _require_place(file: Path, run: FinishedRun) -> None:
    """Checks that a pack can be written there, before anything is read.

    Raises:
        RunError: something is there, it is not named like an archive, or lies in a record or in no folder.
    """
    where, name = str(file), shlex.quote(f"{file.name.partition('.')[0] or run.run_dir.name}{SUFFIX}")
    if file.is_dir():
        inside = shlex.quote(f"{file.name}/{run.run_dir.name}{SUFFIX}")
        raise RunError(f"{file.name} is a folder", where, f"name a file to write, such as {inside}")
    if file.suffix.lower() != SUFFIX:
        what = f"a pack is a zip archive, and {file.name} is not named like one"
        raise RunError(what, where, f"name it {name}")
    if os.path.lexists(file):
        other = shlex.quote(f"{file.stem}_2{SUFFIX}")
        raise RunError(f"{file.name} is there already", where, f"name another file to write, such as {other}")
    if not file.parent.is_dir():
        raise RunError(f"there is no folder {file.parent}", where, f"mkdir -p {shlex.quote(str(file.parent))}")
    if within := finished.record_around(file):
        what = f"{within.name} is a record, and a pack is no part of it"
        raise RunError(what, where, f"name a file outside of it, such as {name}")


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
        if packed.of_run(name := path.relative_to(run_dir).as_posix(), weights):
            yield name


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
        if not packed.below_data(digest["path"]):
            said.append(f"{digest['path']} is not in it: it does not lie below {DATA}/")
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
