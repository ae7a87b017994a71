"""Importance matrices: which columns of a weight matter, by what the model's own completions feed them.

llama.cpp's definition: the mean square of each input of a linear layer, over tokens. Its quantisation takes them, but
no wheel hands them over: cyllama's ``imatrix`` cannot be set. So the quantised file is made without them, and its
blocks are then rounded anew, each in the type that it has, by ``ggml_quantize_chunk`` (of xllamacpp's library). Only
the mix may differ from llama-quantize's, which gives a few tensors other types once it has a matrix.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def measure(merged: Path, rows: Sequence[Sequence[int]], tokens: int, out: Path, device: str = "cpu") -> int:
    """Reckons the importance of the columns of every linear layer, and writes it (.npz: layer -> float32 [inputs]).

    Args:
        rows: token ids; at least one.
        tokens: how many are taken at most.

    Returns:
        How many were taken.
    """
    import numpy
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32, device_map=device).eval()
    sums: dict[str, Any] = {}

    def hook(name: str) -> Any:
        def add(_: Any, given: tuple[Any, ...]) -> None:
            squares = given[0].detach().double().square().flatten(0, -2).sum(0)
            sums[name] = sums.get(name, 0) + squares

        return add

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(hook(name))
    taken = 0
    with torch.inference_mode():
        for row in rows:
            ids = list(row[: tokens - taken])
            if ids:
                model(torch.tensor([ids], device=model.device), use_cache=False)
                taken += len(ids)
    numpy.savez(out, **{name: (one / taken).float().cpu().numpy() for name, one in sums.items()})
    return taken


def rewrite(f16: Path, plain: Path, importance: Path) -> None:
    """Rounds the quantised tensors of a file anew, weighted, in place.

    Args:
        f16: the file that it was quantised from.
        plain: as ``model_quantize`` made it.
        importance: of ``measure``.

    Raises:
        ValueError: ggml writes other sizes than the file has.
    """
    import gguf
    import numpy

    source, target = gguf.GGUFReader(f16), gguf.GGUFReader(plain, "r+")
    weights = {one.name: one for one in source.tensors}
    found = _by_tensor(source, importance)
    for tensor in target.tensors:
        columns = int(tensor.shape[0])
        matrix = found.get(tensor.name)
        if matrix is None or len(matrix) != columns or tensor.tensor_type in _FLOATS:
            continue
        held = weights[tensor.name]
        rows = numpy.ascontiguousarray(gguf.dequantize(held.data, held.tensor_type).reshape(-1, columns))
        new = quantize(rows.astype(numpy.float32), int(tensor.tensor_type), matrix, tensor.n_bytes)
        tensor.data.reshape(-1).view(numpy.uint8)[:] = new
    target.data.flush()


_FLOATS = (0, 1, 30)
"""ggml's numbers of F32, F16 and BF16."""


def quantize(rows: Any, kind: int, importance: Any | None, size: int) -> Any:
    """Quantises by ggml.

    Args:
        rows: float32 [rows, columns].
        kind: ggml's number of the type.
        importance: float32 [columns], or None.
        size: bytes that it must take.

    Returns:
        uint8 [size].
    """
    import numpy
    import xllamacpp.xllamacpp as library

    chunk = ctypes.CDLL(library.__file__).ggml_quantize_chunk
    chunk.restype = ctypes.c_size_t
    floats = ctypes.POINTER(ctypes.c_float)
    chunk.argtypes = [ctypes.c_int, floats, ctypes.c_void_p, *[ctypes.c_int64] * 3, floats]
    out = numpy.zeros(size, numpy.uint8)
    given = None if importance is None else numpy.ascontiguousarray(importance, numpy.float32).ctypes.data_as(floats)
    written = chunk(kind, rows.ctypes.data_as(floats), out.ctypes.data, 0, len(rows), rows.shape[1], given)
    if written != size:
        raise ValueError(f"ggml wrote {written} bytes for {size}")
    return out


def _by_tensor(source: Any, importance: Path) -> dict[str, Any]:
    """The importance by llama.cpp's names of the tensors."""
    import gguf
    import numpy

    arch = source.get_field("general.architecture").contents()
    blocks = source.get_field(f"{arch}.block_count").contents()
    numbers = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(numbers[arch], blocks)
    with numpy.load(importance) as held:
        return {f"{names.get_name(name)}.weight": held[name] for name in held.files if names.get_name(name)}
