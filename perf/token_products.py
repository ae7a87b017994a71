"""How fast the matrix products of one decoded token read their weights: cuBLAS, cuBLASLt and a plain Triton kernel.

The activations of 32 sequences times every kind of weight of a shape, captured in a graph, over so many copies of the
weight that none is found in the card's cache. Median of ten replays; the best of the kernel's configurations. Against
the card's bandwidth they say how much of a token (decode_gpu.py) another library could gain.

Usage, on a GPU:  python perf/token_products.py 4b
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401

import itertools
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

try:
    import triton
    import triton.language as tl
except ImportError:
    raise SystemExit("a GPU is needed, and Triton, which torch brings for it") from None

sys.path.insert(0, str(Path(__file__).parent / "sides"))
import work

LIBRARIES = ("cublas", "cublaslt")
CONFIGURATIONS = tuple(itertools.product((16, 32, 64), (128, 256), (4, 6)))
"""Outputs and inputs of a tile, and its stages; four warps each."""
COPIES_BYTES = 1.5e9
SHARED_BYTES = 200_000


@triton.jit
def multiplied(  # type: ignore[no-untyped-def]  # Triton reads the annotations
    inputs, weights, outputs, width, DEPTH: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr
):
    """``inputs`` [ROWS, DEPTH] times ``weights`` [width, DEPTH] transposed, one tile of outputs a program."""
    columns, rows = tl.program_id(0) * TILE + tl.arange(0, TILE), tl.arange(0, ROWS)
    total = tl.zeros((ROWS, TILE), tl.float32)
    for start in range(0, DEPTH, BLOCK):
        depth = start + tl.arange(0, BLOCK)
        left = tl.load(inputs + rows[:, None] * DEPTH + depth[None, :])
        right = tl.load(weights + columns[:, None] * DEPTH + depth[None, :], mask=columns[:, None] < width, other=0.0)
        total = tl.dot(left, tl.trans(right), total)
    places = outputs + rows[:, None] * width + columns[None, :]
    tl.store(places, total.to(tl.bfloat16), mask=columns[None, :] < width)


def seconds(function: Callable[[], Any]) -> float:
    """Of one replay of the function, captured."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(2):
            function()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    took = []
    for _ in range(13):
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        took.append(begin.elapsed_time(end) / 1000)
    return statistics.median(took[3:])


def products(shape: work.Shape) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of the products of a layer, and of the head."""
    query, key = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return {
        "queries, keys, values": (query + 2 * key, shape.hidden),
        "output": (shape.hidden, query),
        "gate and up": (2 * shape.intermediate, shape.hidden),
        "down": (shape.hidden, shape.intermediate),
        "head": (shape.vocabulary, shape.hidden),
    }


def measure(rows: int, width: int, depth: int) -> dict[str, float]:
    """Seconds of one product, by what computes it."""
    copies = max(2, min(36, int(COPIES_BYTES / (width * depth * 2))))
    place: dict[str, Any] = {"device": "cuda", "dtype": torch.bfloat16}
    weights = [torch.randn(width, depth, **place) * 0.02 for _ in range(copies)]
    inputs, outputs = torch.randn(rows, depth, **place), torch.empty(rows, width, **place)
    took = {}
    for library in LIBRARIES:
        torch.backends.cuda.preferred_blas_library(library)
        took[library] = seconds(lambda: [torch.nn.functional.linear(inputs, weight) for weight in weights]) / copies
    for tile, block, stages in CONFIGURATIONS:
        if depth % block or tile * block * 2 * stages > SHARED_BYTES:
            continue

        def ours(tile: int = tile, block: int = block, stages: int = stages) -> None:
            grid, options = (triton.cdiv(width, tile), 1), {"num_warps": 4, "num_stages": stages}
            for weight in weights:
                multiplied[grid](inputs, weight, outputs, width, depth, tile, block, rows, **options)

        try:
            took["triton"] = min(took.get("triton", float("inf")), seconds(ours) / copies)
        except triton.runtime.errors.OutOfResources:
            continue
    return took


def main() -> None:
    """Prints microseconds and 1e12 bytes a second of every product."""
    if len(sys.argv) != 2 or sys.argv[1] not in work.SHAPES:
        raise SystemExit(f"usage: python perf/token_products.py {'|'.join(work.SHAPES)}")
    if not torch.cuda.is_available():
        raise SystemExit("a GPU is needed")
    shape = work.SHAPES[sys.argv[1]]
    print(f"{torch.cuda.get_device_name()}, {shape.sequences} sequences: microseconds, 1e12 bytes a second\n")
    print("| product | cublas | cublaslt | triton |\n|---|---:|---:|---:|")
    for name, (width, depth) in products(shape).items():
        took = measure(shape.sequences, width, depth)
        cells = [f"{1e6 * took[by]:.1f}, {width * depth * 2 / took[by] / 1e12:.2f}" for by in took]
        print(f"| {name} ({width} x {depth}) | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
