"""An adapter in the weights of its base, as a model folder: what a run with ``model.start_merged=true`` begins from.

Each weight is summed in float64, one rank after the other, and rounded once to the type of its file: the bytes are the
same on every machine. To 16 bits it is rounded up or down by chance, as far as it is from either, on draws of the
weight's name: the base's weights are on that grid, and to the nearest every change below half a step is lost
(perf/merge_rounding.py). Source: LoRA, https://arxiv.org/abs/2106.09685; scale of rslora,
https://arxiv.org/abs/2312.03732; stochastic rounding, https://arxiv.org/abs/1502.02551.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rlexp.compose.start import ADAPTER, CONFIG
from rlexp.errors import RunError
from rlexp.files import whole_folder

PLAIN = {"use_dora": False, "bias": "none", "rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": None}
"""Keys of an adapter's config -> what they hold where it is nothing but B A on linear layers."""
LARGEST_HALF = 65504.0
BLOCK = 2**16
"""Numbers of a weight that are summed at a time: they stay in a core's cache."""


def write(base: Path, adapter: Path | None, folder: Path, names: Collection[str] | None = None) -> None:
    """Writes a model with an adapter in its weights; the folder appears whole or not at all.

    Args:
        base: the folder of the model, with its tokenizer.
        adapter: that of the adapter; None for a copy of the model.
        names: the only files of the model that are taken; None for every one.

    Raises:
        RunError: the adapter is no plain LoRA of this model's layers, or the model's weights are quantized.
    """
    with whole_folder(folder, first_wins=True) as partial:
        for path in sorted(base.iterdir()):
            if path.is_file() and (names is None or path.name in names):
                shutil.copyfile(path, partial / path.name)  # also through the links of the hub's cache
        if adapter:
            _merge(partial, adapter)


def _merge(model: Path, adapter: Path) -> None:
    config, lora = json.loads((adapter / CONFIG).read_text()), _tensors(adapter / ADAPTER)
    where = str(adapter / CONFIG)
    hint = "merge it yourself (peft: merge_and_unload), save that, and type model=FOLDER"
    if other := [key for key, plain in PLAIN.items() if config.get(key, plain) not in (plain, None)]:
        raise RunError(f"the adapter is more than a plain LoRA: {other[0]}", where, hint)
    rank, alpha = config["r"], config["lora_alpha"]
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    places = {name: file for file in sorted(model.glob("*.safetensors")) for name in _tensors(file)}
    for name in sorted(lora):
        if not name.endswith(".lora_A.weight"):
            continue
        layer = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        file = places.get(f"{layer}.weight")
        if file is None:
            raise RunError(f"the model's files hold no {layer}.weight, which the adapter changes", where, hint)
        down, up = _read(adapter / ADAPTER, name, lora), _read(adapter / ADAPTER, name.replace("_A.", "_B."), lora)
        _add(file, f"{layer}.weight", up, down, scale)


def _tensors(file: Path) -> dict[str, Any]:
    """Name -> dtype, shape and the bytes of each tensor, from the head of a safetensors file."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        head = json.loads(stream.read(length))
    begin = 8 + length
    return {
        name: {**entry, "data_offsets": [begin + offset for offset in entry["data_offsets"]]}
        for name, entry in head.items()
        if name != "__metadata__"
    }


def _raw(file: Path, entry: dict[str, Any], write: bool = False) -> Any:
    """A tensor as it lies in its file; bfloat16 as the upper half of float32."""
    import numpy

    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    if entry["dtype"] not in kinds:
        what = f"the model's weights are {entry['dtype']}: an adapter is merged into whole numbers of 16 bits or more"
        raise RunError(what, str(file), "leave out model.start_merged: the adapter goes on as it is")
    kind: Any = kinds[entry["dtype"]]
    return numpy.memmap(file, kind, "r+" if write else "r", entry["data_offsets"][0], tuple(entry["shape"]))


def _read(file: Path, name: str, tensors: dict[str, Any]) -> Any:
    return _wide(_raw(file, tensors[name]), tensors[name]["dtype"])


def _wide(raw: Any, dtype: str) -> Any:
    import numpy

    if dtype == "BF16":
        raw = (raw.astype(numpy.uint32) << 16).view(numpy.float32)
    return raw.astype(numpy.float64)


def _narrow(values: Any, dtype: str, draws: Any) -> Any:
    """Rounds to the type of a file; to 16 bits upwards with the chance that leaves the mean where it is.

    Args:
        draws: a 16-bit number for each value, as ``_draws`` gives them.
    """
    import numpy

    if dtype == "BF16":
        return ((values.astype(numpy.float32).view(numpy.uint32) + draws) >> 16).astype(numpy.uint16)
    if dtype != "F16":
        return values.astype({"F64": "<f8", "F32": "<f4"}[dtype])
    low = numpy.clip(values, -LARGEST_HALF, LARGEST_HALF).astype("<f2")
    low = numpy.where(abs(low) > abs(values), numpy.nextafter(low, numpy.float16(0)), low)
    high = numpy.nextafter(low, numpy.copysign(LARGEST_HALF, values).astype("<f2"))
    return numpy.where(abs(values - low) * 2**16 > abs(high.astype("<f8") - low) * (draws + 0.5), high, low)


def _draws(name: str, begin: int, rows: int, width: int) -> Any:
    """16-bit random numbers, [rows, width], of a weight's rows from ``begin`` on: they depend on nothing else."""
    import numpy

    blocks = -(-width // 16)  # a counter of Philox gives 4 numbers of 64 bits
    source = numpy.random.Philox(key=int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little"))
    source.advance(begin * blocks)
    raw = source.random_raw(rows * blocks * 4).astype("<u8").view("<u2")
    return raw.reshape(rows, blocks * 16)[:, :width].astype(numpy.uint32)


def _add(file: Path, name: str, up: Any, down: Any, scale: float) -> None:
    """Adds scale x up x down, [out, rank] x [rank, in], to a weight in its file. No product of matrices of a library:
    each sums in an order of its own."""
    import numpy

    entry = _tensors(file)[name]
    weight = _raw(file, entry, write=True)
    up, some = scale * up, max(1, BLOCK // weight.shape[1])

    def add(begin: int) -> None:
        rows = slice(begin, begin + some)
        total = _wide(weight[rows], entry["dtype"])
        part = numpy.empty_like(total)
        for rank in range(down.shape[0]):
            total += numpy.multiply(up[rows, rank, None], down[rank], out=part)
        weight[rows] = _narrow(total, entry["dtype"], _draws(name, begin, *total.shape))

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(add, range(0, weight.shape[0], some)))
    weight.flush()
