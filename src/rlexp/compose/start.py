"""``model.start=RUN[@step]``, ``RUN@best``: the weights of another run that a run begins with, found and hashed."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rlexp.chosen import LINK, best
from rlexp.compose.places import Places
from rlexp.errors import RunError, nearest
from rlexp.whole import CHECKPOINTS, fault, of

KEY, HASH, MERGED = "model.start", "model.start_sha256", "model.start_merged"
ADAPTER, CONFIG = "adapter_model.safetensors", "adapter_config.json"
MODEL_FILES = (
    *("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*", "*.jinja"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt"),
)
"""Files of a model and its tokenizer: in a checkpoint others lie beside them."""
LOCK, MANIFEST = "run.lock.yaml", "manifest.json"
FOLDERS = ("outputs", "multirun")
NAMES_THE_BASE = ("base_model_name_or_path", "revision", "peft_version", "inference_mode", "auto_mapping")
"""Keys of an adapter's config that say nothing of what it computes, and may differ from machine to machine."""


@dataclass(frozen=True)
class Start:
    """The weights that a run left, or saved on its way."""

    run: str
    """The run folder as the project names it."""
    step: int | None
    """That of a checkpoint; None for what the run left at its end."""
    place: Path
    """The run folder."""
    folder: Path
    """The folder of the weights."""

    @property
    def full(self) -> bool:
        """Says whether they are a whole model, of which every weight was trained."""
        return not (self.folder / CONFIG).is_file()

    @property
    def typed(self) -> str:
        """``RUN[@step]``."""
        return self.run if self.step is None else f"{self.run}@{self.step}"

    @property
    def files(self) -> list[str]:
        """The names of the files that are the weights: an adapter and its config, or those of a model."""
        if not self.full:
            return [CONFIG, ADAPTER]
        return sorted({path.name for pattern in MODEL_FILES for path in self.folder.glob(pattern)})

    @property
    def sha256(self) -> str:
        """Their hash, the same on every machine."""
        return sha256(self.folder, self.files)


def split(typed: str) -> tuple[str, str | None]:
    """(run, step) of ``RUN[@step]``, at the last ``@`` with a step behind it."""
    run, _, step = typed.rpartition("@")
    return (run, step) if run and (step.isdecimal() or step in ("best", "last")) else (typed, None)


def at(typed: str, root: Path) -> Start:
    """The weights that ``RUN[@step]`` names.

    Args:
        root: the project folder, which a relative RUN is named from.

    Raises:
        RunError: there is no such run, it has no whole weights, or none of that step.
    """
    name, step = split(typed)
    where = f"{KEY}={typed}"
    if name in ("", ".", "True", "False") or name.endswith("@"):
        hint = f"type {KEY}=outputs/..., or {KEY}=outputs/...@STEP; python -m rlexp runs lists them"
        raise RunError(f"{KEY} names a run folder", where, hint)
    place = Path(os.path.abspath(root / name))
    if place.name == LINK and (place.parent / LOCK).is_file():
        place, name, step = place.parent, Path(name).parent.as_posix(), LINK  # RUN/best
    if not (place / LOCK).is_file() and (place.parent / LOCK).is_file() and (place / CONFIG).is_file():
        place, name = place.parent, Path(name).parent.as_posix()  # RUN/adapter
    if not (place / LOCK).is_file() and (run := _above(Path(name), root)):
        at = place.name.rpartition("-")[2]
        hint = f"type {KEY}={run}@{at}" if at.isdecimal() else f"type {KEY}={run}"
        raise RunError(f"{name} lies in the run {run}, and a run is named by its folder", where, hint)
    if not (place / LOCK).is_file():
        raise _no_run(name, place, root, where)
    if step == "best":
        found = best(place, where, f"{KEY}={name}")
        number = found.step if found.folder.parent.name == CHECKPOINTS else None
        return Start(name, number, place, found.folder)
    steps = of(place)
    whole = {number: path for number, path in steps.items() if fault(path) is None}
    left = [folder for folder in (place / "adapter", place / "model") if folder.is_dir() and fault(folder) is None]
    if step is not None and step != "last":
        number = int(step)
        if number not in whole:
            near = min(whole, key=lambda other: abs(other - number), default=None)
            why = f": {fault(steps[number])}" if number in steps else ""
            hint = f"type {KEY}={name}@{near}" if near is not None else f"it kept none: type {KEY}={name}"
            raise RunError(f"{name} has no whole checkpoint of step {number}{why}", where, hint)
        return Start(name, number, place, whole[number])
    if left:
        start = Start(name, None, place, left[0])
        _require_as_left(start, where)
        return start
    if whole:
        return Start(name, max(whole), place, whole[max(whole)])
    what = f"{name} left no weights: neither an adapter, nor a model, nor a whole checkpoint"
    raise RunError(what, where, "python -m rlexp runs says how it ended; train it again, or name another run")


def _above(folder: Path, root: Path) -> str | None:
    """The run folder that a folder lies in."""
    return next((path.as_posix() for path in folder.parents if (root / path / LOCK).is_file()), None)


def _require_as_left(start: Start, where: str) -> None:
    """Checks the weights against the hashes in the manifest of the run that left them, where it has some.

    Raises:
        RunError: a file is another one.
    """
    try:
        left = json.loads((start.place / MANIFEST).read_text())["outputs"]
        wanted = {name: left.get(f"{start.folder.name}/{name}") for name in start.files}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return
    for name, md5 in wanted.items():
        if md5 and _hash("md5", start.folder / name) != md5:
            raise RunError(
                f"{start.folder.name}/{name} is not what the run {start.run} left",
                where=where,
                hint=f"put it back; or begin with one of its checkpoints: {KEY}={start.run}@STEP",
            )


def _no_run(name: str, place: Path, root: Path, where: str) -> RunError:
    """The message on a run that is not there: how to make it, where an experiment bears its name."""
    if (place / CONFIG).is_file():
        base = read_json(place / CONFIG).get("base_model_name_or_path") or "its base"
        hint = "merge it into its base (peft: merge_and_unload), save that, and type model=FOLDER"
        return RunError(f"{name} is an adapter of {base}, and no run (no {LOCK})", where, hint)
    if (place / MANIFEST).is_file():
        hint = f"python -m rlexp runs says why; train it again, or type {KEY}=RUN with another one"
        return RunError(f"the run {name} ended before it was locked: it has no weights", where, hint)
    if Places.of(root).option_file(f"experiment/{place.name}").is_file():
        first = f"python -m rlexp experiment={place.name} hydra.run.dir={name}"
        return RunError(f"there is no run at {name} yet", where, f"train it first: {first}")
    known = [path.parent.relative_to(root).as_posix() for top in FOLDERS for path in (root / top).rglob(LOCK)]
    if guess := nearest(name, known):
        return RunError(f"there is no run at {name}", where, f"did you mean {KEY}={guess}?")
    first = f"python -m rlexp method=sft dataset=DATASET hydra.run.dir={name}"
    return RunError(f"there is no run at {name}", where, f"train one first, such as: {first}")


def not_a_model(folder: Path, named: str, where: str) -> RunError:
    """The message on a run folder, or an adapter, that was named as a model: which line goes on from it.

    Args:
        named: the folder as it was typed.
        where: the key.
    """
    of_run = (folder / LOCK).is_file() or (folder.parent / LOCK).is_file()
    run = named if (folder / LOCK).is_file() else Path(named).parent.as_posix()
    inner = next((one for one in (folder, folder / "adapter") if (one / CONFIG).is_file()), None)
    base = read_json(inner / CONFIG).get("base_model_name_or_path") if inner else None
    what = f"{named} is an adapter of {base or 'ORG/NAME'}, and a model is asked for" if inner else ""
    what = what or f"{named} is a run, and a model is asked for"
    if of_run:
        hint = f"to go on from it: type {KEY}={run} and leave out {where}; with {MERGED}=true it is merged first"
    else:
        hint = "merge it into its base (peft: merge_and_unload) and name that folder, or name the base: type "
        hint += f"model={base}" if base and Path(base).is_dir() else f"model=hub:{base or 'ORG/NAME'}"
    return RunError(what, f"{where}={named}", hint)


def sha256(folder: Path, names: Collection[str]) -> str:
    """The hash of some files of a folder, their names included; of an adapter's config only what it computes with."""
    found = {}
    for name in sorted(names):
        if name == CONFIG:
            content = {key: value for key, value in read_json(folder / name).items() if key not in NAMES_THE_BASE}
            if isinstance(content.get("target_modules"), list):
                content["target_modules"] = sorted(map(str, content["target_modules"]))
            found[name] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        else:
            found[name] = _hash("sha256", folder / name)
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _hash(kind: str, file: Path) -> str:
    known = file.stat()
    return _hashed(kind, str(file.resolve()), known.st_size, known.st_mtime_ns, known.st_ino)


@functools.lru_cache(4096)
def _hashed(kind: str, path: str, *known: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()


def read_json(file: Path) -> dict[str, Any]:
    """A config of weights; a RunError where it cannot be read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{file.name} cannot be read: {error}", str(file), "take the run from where it came") from error
    return content if isinstance(content, dict) else {}


def read_lock_model(place: Path) -> dict[str, Any]:
    """What the lock of a run says of its model; empty where it cannot be read, which those say who need all of it."""
    try:
        content = yaml.load((place / LOCK).read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        model = content["config"]["model"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
        return {}
    return model if isinstance(model, dict) else {}


def from_project(typed: str, here: Path, root: Path) -> str:
    """``RUN[@step]`` as the project names it: RUN may be typed from the project, or from where it is typed."""
    name, step = split(typed)
    for base in (here, root):
        place = Path(os.path.abspath(base / Path(name).expanduser()))
        if place.is_dir():
            inside = next((one for one in (place, place.resolve()) if one.is_relative_to(root)), None)
            named = inside.relative_to(root).as_posix() if inside else place.as_posix()
            return named if step is None else f"{named}@{step}"
    return typed
