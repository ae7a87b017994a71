"""The memory that training took on the GPU, beside what was estimated."""

from __future__ import annotations

from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.workload import GIB


def begin() -> None:
    """Starts the measurement; memory that is in use already counts."""
    import torch

    _earlier.clear()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


_earlier: dict[str, int] = {}
"""The peaks of the processes that trained the run before this one, in bytes."""


def peaks() -> dict[str, int]:
    """``reserved`` and ``allocated``: the peaks of torch's allocator in bytes, those of earlier processes of the run
    among them; nothing without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return {}
    now = {"reserved": torch.cuda.max_memory_reserved(), "allocated": torch.cuda.max_memory_allocated()}
    return {name: max(value, _earlier.get(name, 0)) for name, value in now.items()}


def carry(earlier: dict[str, int]) -> None:
    """Counts the peaks of an earlier process of the run."""
    _earlier.update(earlier)


def figures(run: Run) -> dict[str, Any] | None:
    """``estimated`` by part (None for a model of unknown size) and ``measured``, the peaks of torch's allocator, in
    GiB; None without a GPU.

    Reserved is what torch holds of the device, vLLM's in the same process included; the CUDA context is not in it.
    """
    if not (found := peaks()):
        return None
    return {
        "estimated": run.memory.gib() if run.memory else None,
        "measured": {name: round(value / GIB, 3) for name, value in found.items()},
    }


def summary_line(figures: dict[str, Any]) -> str:
    """``peak 23.1 GiB (estimated 21.7)``."""
    estimated = f" (estimated {figures['estimated']['reserved']:.1f})" if figures["estimated"] else ""
    return f"peak {figures['measured']['reserved']:.1f} GiB{estimated}"
