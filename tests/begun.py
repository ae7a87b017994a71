"""A run folder as SFT leaves it, made by hand: a lock, and an adapter of tiny's layers drawn by numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
from safetensors.numpy import save_file

from rlexp.compose.run import Run
from rlexp.inputs.digest import combined_md5, folder_md5s
from tests.conftest import ROOT
from tests.record import made

LAYERS = {"q_proj": (128, 128), "v_proj": (64, 128)}
"""Adapted layer of tiny -> rows and columns of its weight."""


def adapter(folder: Path, r: int = 4, seed: int = 0, **config: Any) -> None:
    """Writes an adapter of tiny's first block."""
    folder.mkdir(parents=True)
    draws, weights = numpy.random.default_rng(seed), {}
    for name, (rows, columns) in LAYERS.items():
        layer = f"base_model.model.model.layers.0.self_attn.{name}"
        weights[f"{layer}.lora_A.weight"] = draws.normal(size=(r, columns)).astype("float32")
        weights[f"{layer}.lora_B.weight"] = draws.normal(size=(rows, r)).astype("float32")
    save_file(weights, folder / "adapter_model.safetensors")
    stated = {"r": r, "lora_alpha": 8, "lora_dropout": 0.0, "use_rslora": False, "target_modules": list(LAYERS)}
    content = {"base_model_name_or_path": "models/tiny", "peft_type": "LORA", **stated, **config}
    (folder / "adapter_config.json").write_text(json.dumps(content))


def run(folder: Path, composed: Run, **lora: Any) -> dict[str, Any]:
    """Writes a run that left an adapter; answers its lock."""
    lock = made.locked(composed)
    files = folder_md5s(ROOT / "models/tiny")
    lock["inputs"]["model"] = {"path": "models/tiny", "md5": combined_md5(files), "files": files}
    made.write(folder, lock)
    adapter(folder / "adapter", **lora)
    return lock
