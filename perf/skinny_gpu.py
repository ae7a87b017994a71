"""Matrix products of few rows: cuBLAS, cuBLASLt and a kernel of sides/skinny.py, on the layers of a shape, one GPU.

Every product is timed in a CUDA graph over as many different weights as the model has layers, so that none of them is
still in the cache; the rate is that of the weights' bytes.

Usage, from the project folder:
  python perf/skinny_gpu.py 4b                      # 32 and 64 rows
  python perf/skinny_gpu.py 4b --rows 8,128 --limit 60
Prints a line a setting and the best of each layer; where a setting does not compile, why.
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import argparse
import functools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "sides"))
import work

SETTINGS = [
    # block_n, block_k, split, stages, warps, tma
    (64, 128, 1, 4, 4, False),
    (64, 128, 2, 4, 4, False),
    (64, 128, 4, 4, 4, False),
    (64, 256, 1, 3, 4, False),
    (64, 256, 2, 3, 4, False),
    (128, 128, 1, 3, 4, False),
    (128, 64, 2, 5, 4, False),
    (64, 128, 1, 4, 4, True),
    (64, 128, 2, 4, 4, True),
    (64, 128, 4, 4, 4, True),
    (64, 256, 1, 3, 4, True),
    (64, 256, 2, 3, 4, True),
    (128, 128, 1, 4, 8, True),
    (128, 128, 2, 4, 8, True),
    (128, 128, 4, 4, 4, True),
]


def graphed(call: Callable[[Any], Any], weights: list[Any]) -> float:
    """Microseconds of a call, the median of some replays over all weights."""
    import torch

    for w in weights[:2]:
        call(w)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for w in weights:
            call(w)
    seconds = []
    for _ in range(6):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        seconds.append(begin.elapsed_time(end) * 1000 / len(weights))
    return statistics.median(seconds[1:])


def with_setting(x: Any, setting: tuple[Any, ...], w: Any) -> Any:
    """The kernel's product."""
    import skinny

    return skinny.product(x, w, *setting)


def main() -> None:
    """Reads the command line, makes the weights of a layer and times every setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=work.SHAPES)
    parser.add_argument("--rows", default="32,64")
    parser.add_argument("--limit", type=float, default=120)
    options = parser.parse_args()
    until = time.time() + options.limit
    import skinny
    import torch

    s = work.SHAPES[options.shape]
    layers = {
        "qkv": (s.head_dim * (s.heads + 2 * s.kv_heads), s.hidden),
        "o": (s.hidden, s.head_dim * s.heads),
        "gate_up": (2 * s.intermediate, s.hidden),
        "down": (s.hidden, s.intermediate),
    }
    for rows in map(int, options.rows.split(",")):
        sums: dict[str, float] = {"cublas": 0.0, "cublaslt": 0.0, "best": 0.0}
        for name, (columns, depth) in layers.items():
            weights = [torch.randn(columns, depth, dtype=torch.bfloat16, device="cuda") * 0.02 for _ in range(s.layers)]
            x = torch.randn(rows, depth, dtype=torch.bfloat16, device="cuda")
            size = 2 * columns * depth
            found: dict[str, float] = {}
            for library in ("cublas", "cublaslt"):
                torch.backends.cuda.preferred_blas_library(library)
                found[library] = graphed(functools.partial(torch.nn.functional.linear, x), weights)
            torch.backends.cuda.preferred_blas_library("cublas")
            right = torch.nn.functional.linear(x.float(), weights[0].float())
            for setting in SETTINGS:
                if time.time() > until or depth % (setting[1] * setting[2]):
                    continue
                try:
                    off = (skinny.product(x, weights[0], *setting).float() - right).abs().max().item()
                    found[str(setting)] = graphed(functools.partial(with_setting, x, setting), weights)
                except Exception as error:
                    print(json.dumps({"setting": setting, "error": str(error)[:200]}), flush=True)
                    continue
                if off > 0.05 * right.abs().max().item():
                    print(json.dumps({"setting": setting, "layer": name, "off by": off}), flush=True)
            for told, us in found.items():
                said = {"rows": rows, "layer": name, "setting": told, "us": round(us, 2)}
                print(json.dumps({**said, "tb_s": round(size / us / 1e6, 2)}), flush=True)
            sums = {"cublas": sums["cublas"] + found["cublas"], "cublaslt": sums["cublaslt"] + found["cublaslt"]} | {
                "best": sums["best"] + min(found.values())
            }
            del weights
            torch.cuda.empty_cache()
        print(json.dumps({"rows": rows, "us a layer": {k: round(v, 1) for k, v in sums.items()}}), flush=True)


if __name__ == "__main__":
    main()
