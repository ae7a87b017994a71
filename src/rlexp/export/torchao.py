"""Weights quantised by torchao through transformers: read by transformers as they are, and by vLLM on a GPU.

Source: torchao 0.17 and 0.18, ``transformers.TorchAoConfig``; ``quantize_`` by itself makes nothing that can be saved.
The embedding stays in 16 bits, and with it a head that is tied to it.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from collections import Counter
from typing import Any

from rlexp.export.formats import Made, Making
from rlexp.export.merged import TRAVELS
from rlexp.export.widths import largest_group


def make(making: Making) -> Made:
    """Makes a folder of transformers, with the weights of the layers quantised one by one on the device.

    int4 and fp8 take CUDA (``compose.exports`` refuses them elsewhere).

    Raises:
        RunError: no size of a group divides the model's widths.
    """
    group, note = largest_group(making) if making.type == "int4" else (None, None)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import torch
        from transformers import AutoModelForCausalLM, TorchAoConfig

        model = AutoModelForCausalLM.from_pretrained(
            making.merged,
            dtype=torch.bfloat16,
            quantization_config=TorchAoConfig(_how(making.type, group)),
            device_map=making.device,
        )
        model.save_pretrained(making.folder)
    for pattern in (*TRAVELS, "generation_config.json"):
        for path in making.merged.glob(pattern):
            shutil.copyfile(path, making.folder / path.name)
    return Made(mix=_mix(model, making.type), note=note)


def _how(kind: str, group: int | None) -> Any:
    from torchao import quantization

    if kind == "int8":
        return quantization.Int8WeightOnlyConfig(version=2)  # 1 is the default of 0.17, and cannot be saved
    if kind == "fp8":
        return quantization.Float8DynamicActivationFloat8WeightConfig(granularity=quantization.PerRow())
    return quantization.Int4WeightOnlyConfig(group_size=group, int4_packing_format="tile_packed_to_4d")


def _mix(model: Any, kind: str) -> dict[str, float]:
    held: Counter[str] = Counter()
    for weight in model.parameters():
        ours = type(weight).__module__.startswith("torchao")
        held[kind if ours else str(weight.dtype).removeprefix("torch.")] += weight.numel()
    total = held.total()
    return {name: count / total for name, count in held.most_common()}
