"""compressed-tensors for vLLM, made without data by llm-compressor: 8-bit floats, or 4-bit integers in groups.

Source: ``llmcompressor.model_free_ptq`` 0.14, which quantises the files' tensors one by one and copies all other files.
It needs no GPU, but with one a large model takes seconds and not minutes; transformers reads the result on a CPU,
decompressed.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from math import prod
from pathlib import Path

from rlexp.export.formats import Made, Making
from rlexp.export.widths import LEFT, largest_group

SCHEMES = {"fp8": "FP8_DYNAMIC", "w4a16": "W4A16"}
"""Type -> the preset of compressed-tensors."""
PACKED, FP8 = ".weight_packed", "F8_E4M3"
IN_A_WORD = 8
"""4-bit weights in a 32-bit integer."""
FLOATS = {"F16": "float16", "BF16": "bfloat16"}


def make(making: Making) -> Made:
    """Makes a folder of transformers in the format of compressed-tensors.

    Raises:
        RunError: no size of a group divides the model's widths.
    """
    group, note = largest_group(making) if making.type == "w4a16" else (None, None)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from compressed_tensors.quantization import preset_name_to_scheme
        from llmcompressor import model_free_ptq

        scheme = preset_name_to_scheme(SCHEMES[making.type], ["Linear"])
        if group:
            scheme.weights.group_size = group
        ignored = [f"re:.*{name}" for name in LEFT]
        model_free_ptq(making.merged, making.folder, scheme=scheme, ignore=ignored, device=making.device)
    return Made(mix=_mix(making.folder), note=note)


def _mix(folder: Path) -> dict[str, float]:
    from safetensors import safe_open

    held: Counter[str] = Counter()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                one = tensors.get_slice(name)
                count = prod(one.get_shape())
                if name.endswith(PACKED):
                    held["int4"] += count * IN_A_WORD
                elif name.endswith((".weight", ".bias")):
                    held["fp8" if one.get_dtype() == FP8 else FLOATS[one.get_dtype()]] += count
    total = held.total()
    return {kind: count / total for kind, count in held.most_common()}
