"""What a composed tree says of the run it begins with, settled: its hash, and the shape of its adapter.

What counts is the hash, never the path: it is put into ``model.start_sha256`` while composing, as a hub model's commit
is. An adapter says its own rank, scale and layers; the run takes them from there.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from rlexp.compose.start import CONFIG, HASH, KEY, MERGED, Start, at, read_json, read_lock_model, split
from rlexp.errors import RunError

SHAPE = ("r", "lora_alpha", "use_rslora", "target_modules")
"""What an adapter's weights were trained with, and cannot be without; its dropout may be another from now on."""


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
    _require_model(cfg, root, start, where)


def _require_model(cfg: DictConfig, root: Path, start: Start, where: str) -> None:
    """Refuses another model than the start's that is not there yet, before it is made; one that is there is held
    against the lock by its files (``inputs.start``).

    Raises:
        RunError: it is another one.
    """
    of = read_lock_model(start.place)
    path, hub_id = cfg.model.get("path"), cfg.model.get("hub_id")
    if not of or (of.get("path"), of.get("hub_id")) == (path, hub_id) or (path and (root / path).is_dir()):
        return
    what = (
        f"{start.run} was trained on {of.get('name')} ({of.get('path') or of.get('hub_id')}), not on {cfg.model.name}"
    )
    raise RunError(what, f"model={cfg.model.name}, {where}", f"type model={of.get('name')}")


def _take_shape(cfg: DictConfig, start: Start, typed: Collection[str]) -> None:
    content, lora = read_json(start.folder / CONFIG), cfg.model.lora
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
