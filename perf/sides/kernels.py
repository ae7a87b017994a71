"""Which kernels occupied the device, from a Chrome trace of torch.profiler. Imports nothing heavy."""

from __future__ import annotations

import re
from typing import Any

GROUPS = (
    ("log-probabilities", r"_topk_log_softmax|_ranks_kernel|log_softmax"),
    ("attention", r"flash|fmha|attention|reshape_and_cache|paged"),
    ("LoRA", r"lora|punica|bgmv|sgmv"),
    ("sampler", r"gumbel|temperature|top_?[kp]_?|topk|min_p|penalt|bad_words|logit_bias|sample|argmax|multinomial"),
    ("matrix products", r"gemm|nvjet|cutlass|cublas|gemv|splitk|wgmma|matmul|triton_(mm|tem)"),
    ("norms, activations", r"^triton_(red|poi|per)_|rms_?norm|layer_?norm|rotary|silu|act_and_mul"),
    (
        "copies, preparation",
        r"memcpy|memset|copy|fill|gather|scatter|index|slot|prepare|arange|block_table|_update|cat",
    ),
)
"""Kernels by the first pattern that their name matches; what matches none is ``other``."""
DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
"""Categories of a Chrome trace of torch.profiler that occupy the device."""
TOP = 30
"""Kernels listed a setting."""


def group(kernel: str) -> str:
    """The group of a kernel's name."""
    return next((name for name, pattern in GROUPS if re.search(pattern, kernel, re.I)), "other")


def busy(intervals: list[tuple[float, float]]) -> float:
    """The length of the union of intervals (begin, end)."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def read(trace: dict[str, Any], tokens: int = 1) -> dict[str, Any]:
    """Milliseconds and launches a token of a Chrome trace (microseconds) over so many tokens."""
    events = [event for event in trace["traceEvents"] if event.get("ph") == "X"]
    device = [event for event in events if event.get("cat") in DEVICE]
    calls = [event for event in events if event.get("cat") in ("cuda_runtime", "cuda_driver")]
    kernels: dict[str, float] = {}
    for event in device:
        kernels[event["name"]] = kernels.get(event["name"], 0.0) + event["dur"]
    groups: dict[str, float] = {name: 0.0 for name, _ in GROUPS} | {"other": 0.0}
    for name, duration in kernels.items():
        groups[group(name)] += duration / tokens / 1000
    waits = sum(event["dur"] for event in calls if "Synchronize" in event["name"])
    return {
        "device_ms": busy([(event["ts"], event["ts"] + event["dur"]) for event in device]) / tokens / 1000,
        "waits_ms": waits / tokens / 1000,
        "kernels": len(device) / tokens,
        "graphs": sum("GraphLaunch" in event["name"] for event in calls) / tokens,
        "launches": sum("LaunchKernel" in event["name"] for event in calls) / tokens,
        "groups_ms": groups,
        "top": [(n, d / tokens / 1000) for n, d in sorted(kernels.items(), key=lambda item: -item[1])[:TOP]],
    }
