"""``model.start=RUN[@step]``: the weights of another run that a run begins with, found and named by their hash.

What counts is the hash, never the path: it is put into ``model.start_sha256`` while composing, as a hub model's commit
is. An adapter says its own rank, scale and layers; the run takes them from there.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from rlexp.compose.places import Places
from rlexp.errors import RunError, nearest

KEY, HASH, MERGED = "model.start", "model.start_sha256", "model.start_merged"
ADAPTER, CONFIG = "adapter_model.safetensors", "adapter_config.json"
MODEL_FILES = (
    *("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*", "*.jinja"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt"),
)
"""Files of a model and its tokenizer: in a checkpoint others lie beside them."""
LOCK, CHECKPOINTS = "run.lock.yaml", "checkpoints"
FOLDERS = ("outputs", "multirun")
SHAPE = ("r", "lora_alpha", "use_rslora", "target_modules")
"""What an adapter's weights were trained with, and cannot be without; its dropout may be another from now on."""
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
    if step == "best":
        raise RunError("no checkpoint is called the best one yet", where, f"type {KEY}={name}, or {name}@STEP")
    place = Path(os.path.abspath(root / name))
    if not (place / LOCK).is_file() and (place.parent / LOCK).is_file() and (place / CONFIG).is_file():
        place, name = place.parent, Path(name).parent.as_posix()  # RUN/adapter
    if not (place / LOCK).is_file():
        raise _no_run(name, place, root, where)
    found = [path for path in (place / CHECKPOINTS).glob("checkpoint-*") if path.name[11:].isdigit()]
    steps = {int(path.name[11:]): path for path in found}
    whole = {number: path for number, path in sorted(steps.items()) if _fault(path) is None}
    left = [folder for folder in (place / "adapter", place / "model") if folder.is_dir() and _fault(folder) is None]
    if step is not None and step != "last":
        number = int(step)
        if number not in whole:
            near = min(whole, key=lambda other: abs(other - number), default=None)
            why = f": {_fault(steps[number])}" if number in steps else ""
            hint = f"type {KEY}={name}@{near}" if near is not None else f"it kept none: type {KEY}={name}"
            raise RunError(f"{name} has no whole checkpoint of step {number}{why}", where, hint)
        return Start(name, number, place, whole[number])
    if left:
        return Start(name, None, place, left[0])
    if whole:
        return Start(name, max(whole), place, whole[max(whole)])
    what = f"{name} left no weights: neither an adapter, nor a model, nor a whole checkpoint"
    raise RunError(what, where, "python -m rlexp runs says how it ended; train it again, or name another run")


def _fault(folder: Path) -> str | None:
    """Why a folder holds no whole weights; None where it does. No pickle is looked at."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        return "it holds no safetensors"
    if not any((folder / name).is_file() for name in (CONFIG, "config.json")):
        return f"it holds no {CONFIG} or config.json"
    return next((f"{path.name} is not whole" for path in weights if not _whole(path)), None)


def _whole(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            head = json.loads(stream.read(length)) if 0 < length < 2**27 else {}
        ends = [item["data_offsets"][1] for name, item in head.items() if name != "__metadata__"]
        return bool(ends) and path.stat().st_size == 8 + length + max(ends)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _no_run(name: str, place: Path, root: Path, where: str) -> RunError:
    """The message on a run that is not there: how to make it, where an experiment bears its name."""
    if (place / CONFIG).is_file():
        base = _json(place / CONFIG).get("base_model_name_or_path") or "its base"
        hint = "merge it into its base (peft: merge_and_unload), save that, and type model=FOLDER"
        return RunError(f"{name} is an adapter of {base}, and no run (no {LOCK})", where, hint)
    if (place / "manifest.json").is_file():
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
    base = _json(inner / CONFIG).get("base_model_name_or_path") if inner else None
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
            content = {key: value for key, value in _json(folder / name).items() if key not in NAMES_THE_BASE}
            if isinstance(content.get("target_modules"), list):
                content["target_modules"] = sorted(map(str, content["target_modules"]))
            found[name] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        else:
            known = (folder / name).stat()
            found[name] = _hash(str((folder / name).resolve()), known.st_size, known.st_mtime_ns, known.st_ino)
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


@functools.lru_cache(4096)
def _hash(path: str, *known: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{file.name} cannot be read: {error}", str(file), "take the run from where it came") from error
    return content if isinstance(content, dict) else {}


def settle(cfg: DictConfig, root: Path, typed: Collection[str]) -> None:
    """Pins the start that a composed tree names: its hash, and of an adapter its rank, scale and layers.

    Args:
        typed: the keys that were typed (``typed.keys_of``).

    Raises:
        RunError: there are no such weights, they are not those of a hash that was typed, or what was typed of the
            adapter is not what it has.
    """
    text, merged = OmegaConf.select(cfg, KEY), bool(OmegaConf.select(cfg, MERGED))
    if text is None:
        if merged or OmegaConf.select(cfg, HASH) is not None:
            key = MERGED if merged else HASH
            raise RunError(f"{key} is of the run that another begins with, and none is named", key, f"type {KEY}=RUN")
        return
    stated = OmegaConf.select(cfg, HASH)
    if stated is not None and not (root / split(str(text))[0]).exists():
        return  # a lock's: the weights are looked for by their hash
    start = at(str(text), root)
    actual = start.sha256
    if stated is not None and stated != actual:
        what = f"the weights of {start.typed} are not those that are meant"
        where = f"{HASH}: expected {str(stated)[:16]}, actual {actual[:16]}"
        raise RunError(what, where, f"leave out {HASH} for what lies there now, or put the run back (dvc pull)")
    with open_dict(cfg.model):
        cfg.model.start, cfg.model.start_sha256 = start.typed, actual
    where = f"{KEY}={start.typed}"
    if start.full:
        if merged:
            what = f"{start.run} trained every weight: it is a whole model, and nothing is to be merged"
            raise RunError(what, f"{where}, {MERGED}", f"leave out {MERGED}")
    elif not merged:
        if OmegaConf.select(cfg, "model.full_finetuning"):
            what = "every weight is to be trained, and the start is an adapter beside them"
            raise RunError(what, f"{where}, model.full_finetuning", f"type {MERGED}=true, which merges it first")
        _take_shape(cfg, start, typed)


def _take_shape(cfg: DictConfig, start: Start, typed: Collection[str]) -> None:
    content, lora = _json(start.folder / CONFIG), cfg.model.lora
    own = {key: content[key] for key in SHAPE if key in content}
    if not isinstance(own.get("target_modules"), list):
        own["target_modules"] = "all-linear"  # a pattern that names every linear layer
    else:
        own["target_modules"] = sorted(own["target_modules"])
    for key, value in own.items():
        asked = OmegaConf.to_container(lora[key]) if OmegaConf.is_config(lora.get(key)) else lora.get(key)
        same = sorted(asked) == value if isinstance(asked, list) and isinstance(value, list) else asked == value
        if f"model.lora.{key}" in typed and not same:
            raise RunError(
                f"{key} is {_shown(asked)}, and the adapter of {start.run} goes on with its own: {_shown(value)}",
                where=f"model.lora.{key}, {KEY}={start.typed}",
                hint=f"leave out model.lora.{key}; for a fresh adapter on what {start.run} learned: type {MERGED}=true",
            )
        if not same:
            lora[key] = value
    if "model.lora.lora_dropout" not in typed and isinstance(content.get("lora_dropout"), int | float):
        lora.lora_dropout = content["lora_dropout"]


def _shown(value: Any) -> str:
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)


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
