"""Peaks of torch's allocator that were measured, for the estimate to be held against."""

from __future__ import annotations

from rlexp.compose.methods import METHODS
from rlexp.compose.schema import Device, Dtype, Hardware, Lora, Model, Rollout, Size
from rlexp.compose.workload import Workload

SHAPES = {
    "135m": Size(30, 576, 1536, 9, 3, 64, 49152, True, qk_norm=False),
    "1.7b": Size(28, 2048, 6144, 16, 8, 128, 151936, True),
    "4b": Size(36, 2560, 9728, 32, 8, 128, 151936, True),
}
"""perf/sides/work.py's shapes."""
SAMPLED = 8
"""Tokens of a completion; the prompt is the rest of a sequence."""
GENERATE = [
    # perf/results/2026-11-29_memory_h200.md: shape, every weight, sequences, tokens seen, recomputation, GiB reserved
    ("4b", False, 8, 494, False, 21.57),
    ("4b", False, 8, 494, True, 10.14),
    ("4b", False, 32, 493, False, 56.88),
    ("4b", False, 32, 493, True, 16.10),
    ("4b", False, 8, 2982, False, 88.48),
    ("4b", False, 8, 2982, True, 17.17),
    ("1.7b", False, 8, 494, False, 10.53),
    ("1.7b", False, 8, 494, True, 5.12),
    ("1.7b", False, 32, 493, False, 28.73),
    ("1.7b", False, 32, 493, True, 9.49),
    ("135m", False, 8, 494, False, 2.24),
    ("135m", False, 8, 494, True, 0.84),
    ("135m", False, 32, 493, False, 6.92),
    ("135m", True, 8, 494, True, 1.26),
    ("135m", True, 8, 494, False, 3.88),
    ("135m", True, 32, 493, True, 2.25),
    ("135m", True, 32, 493, False, 23.29),
    ("1.7b", True, 8, 494, True, 14.09),
    ("1.7b", False, 8, 2982, True, 10.04),
    ("1.7b", False, 8, 2982, False, 44.08),
    ("1.7b", False, 32, 2981, True, 29.77),
    # perf/results/2026-11-30_memory_h200.md
    ("4b", False, 32, 2997, True, 43.21),
    ("4b", False, 128, 509, True, 40.67),
    ("1.7b", False, 128, 509, True, 26.96),
    ("1.7b", False, 32, 2997, True, 30.07),
    ("1.7b", True, 32, 509, True, 15.61),
    ("135m", False, 32, 2997, False, 38.98),
    ("135m", False, 128, 509, False, 26.69),
    ("135m", False, 128, 509, True, 6.20),
    ("135m", False, 128, 2997, True, 26.22),
]
"""GRPO with Unsloth's model on one H200, an adapter of rank 16 or every weight, sampled by transformers' generate; a
step is one micro-batch."""


def job(shape: str, full: bool, sequences: int, tokens: int) -> Workload:
    """The work of a measured point, as long as its sequences were."""
    model = Model(name=shape, max_seq_length=tokens, full_finetuning=full, lora=Lora(r=16))
    hardware = Hardware(name="h200", device=Device.cuda, memory_gib=140.0, dtype=Dtype.bfloat16)
    arguments = {"optim": "adamw_torch_fused", "max_completion_length": SAMPLED, "beta": 0.0}
    return Workload(SHAPES[shape], model, hardware, Rollout(name="generate"), METHODS["grpo"], arguments, sequences)
