"""The shape of a model from its config.json; where the folder is there, it is what counts, not the option's."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rlexp.compose.places import Places
from rlexp.compose.schema import Size

EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
PLAIN = ("llama", "mistral", "qwen2", "phi3", "gemma", "gemma2", "granite", "smollm3")
"""model_type of decoders that do not normalise queries and keys; others are taken to, which needs more memory."""


def of_config(content: dict[str, Any]) -> Size | None:
    """The shape that a model's configuration states; None for what is no dense decoder.

    Args:
        content: config.json, or ``PretrainedConfig.to_dict()``.
    """
    content = content.get("text_config") or content
    if any(content.get(name) for name in EXPERTS):
        return None
    try:
        heads = int(content["num_attention_heads"])
        return Size(
            num_hidden_layers=int(content["num_hidden_layers"]),
            hidden_size=int(content["hidden_size"]),
            intermediate_size=int(content["intermediate_size"]),
            num_attention_heads=heads,
            num_key_value_heads=int(content.get("num_key_value_heads") or heads),
            head_dim=int(content.get("head_dim") or content["hidden_size"] // heads),
            vocab_size=int(content["vocab_size"]),
            tie_word_embeddings=bool(content.get("tie_word_embeddings")),
            qk_norm=content.get("model_type") not in PLAIN,
        )
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None


def of_folder(model_dir: Path) -> Size | None:
    """The shape of the model in a folder; None where there is none, or it cannot be read."""
    try:
        content = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return of_config(content) if isinstance(content, dict) else None


def of_tree(cfg: DictConfig, places: Places) -> Size | None:
    """The shape of the model in the folder that a composed tree names."""
    path = OmegaConf.select(cfg, "model.path")
    return of_folder(places.path(str(path))) if path else None


def differences(stated: Size, found: Size) -> dict[str, tuple[Any, Any]]:
    """Key -> (stated, found), of those that differ."""
    pairs = {f.name: (getattr(stated, f.name), getattr(found, f.name)) for f in dataclasses.fields(Size)}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
