"""Merged 16-bit safetensors: the standard, and what every other format is made from.

Each weight is summed in float64 and rounded once, by chance (``inputs.merge``). Tokenizer, template and generation
settings are those that the run left beside its weights.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from rlexp.compose.start import MODEL_FILES
from rlexp.errors import RunError
from rlexp.export.formats import Made, Making
from rlexp.export.source import Source
from rlexp.inputs import merge

TRAVELS = ("tokenizer*", "*.jinja", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt")
"""Files of a tokenizer and its template."""
LARGEST_HALF = 65504.0
SHORT = {"F16": "float16", "BF16": "bfloat16"}
"""Types of a safetensors file that are merged."""


def make(making: Making) -> Made:
    """Nothing is left to do: ``write`` made it before every other format."""
    raise NotImplementedError


def write(source: Source, folder: Path) -> Made:
    """Fills a folder with the merged model.

    Args:
        folder: must not be there.

    Raises:
        RunError: the adapter is no plain LoRA of the base's layers, or the base's weights are quantized.
    """
    names = {path.name for pattern in MODEL_FILES for path in source.base.glob(pattern)}
    merge.write(source.base, source.adapter, folder, names)
    dtype = _to_16_bits(folder)
    for pattern in TRAVELS:
        for path in source.own.glob(pattern):
            shutil.copyfile(path, folder / path.name)
    _generation(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = dtype
    config.pop("torch_dtype", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return Made(mix={dtype: 1.0})


def _to_16_bits(folder: Path) -> str:
    """Rounds 32-bit weights to 16 bits, each once; says the type that the files have."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    kinds: set[str] = set()
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as held:
            found = {held.get_slice(name).get_dtype() for name in held.keys()}  # noqa: SIM118
        if "F32" in found:
            tensors = load_file(file)
            most = max(float(one.abs().max()) for one in tensors.values() if one.is_floating_point())
            kind = torch.float16 if most < LARGEST_HALF else torch.bfloat16
            tensors = {name: one.to(kind) if one.dtype is torch.float32 else one for name, one in tensors.items()}
            save_file(tensors, file, metadata={"format": "pt"})
            found = found - {"F32"} | {"F16" if kind is torch.float16 else "BF16"}
        kinds |= {one for one in found if one.startswith(("F", "BF"))}
    if len(kinds) != 1 or not kinds <= SHORT.keys():
        held_as = ", ".join(sorted(kinds)) or "none"
        what = f"the model's weights are {held_as}, and 16-bit floats are merged"
        hint = "train on a base whose files hold 16-bit or 32-bit floats"
        raise RunError(what, where=str(folder), hint=hint)
    return SHORT[kinds.pop()]


def _generation(source: Source, folder: Path) -> None:
    """The generation settings that the run left, with every token that ends a completion of it."""
    from transformers import AutoTokenizer, GenerationConfig

    own = source.own if (source.own / "generation_config.json").is_file() else source.base
    try:
        generation = GenerationConfig.from_pretrained(own)
    except OSError:
        generation = GenerationConfig()
    ids = generation.eos_token_id if isinstance(generation.eos_token_id, list) else [generation.eos_token_id]
    end = AutoTokenizer.from_pretrained(folder).eos_token_id
    generation.eos_token_id = sorted({one for one in (*ids, end) if one is not None})
    generation.save_pretrained(folder)
