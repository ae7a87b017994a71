"""Jobs made by hand, of a model so small that everything about it can be counted in the head."""

from __future__ import annotations

from typing import Any

from rlexp.compose.methods import METHODS
from rlexp.compose.schema import Device, Dtype, Hardware, Lora, Model, Rollout, Size, VllmMode
from rlexp.compose.workload import Workload

SIZE = Size(2, 8, 16, 4, 2, 3, 32, False)
"""Two layers, h 8, i 16, q 12, kv 6, a vocabulary of 32."""
LAYER = 8 * (2 * 12 + 2 * 6) + 3 * 8 * 16
WEIGHTS = 2 * LAYER + 2 * 32 * 8
COLOCATE = {"rollout.vllm_mode": VllmMode.colocate}
UNSLOTH = {"rollout.fast_inference": True}
SERVER = {"rollout.vllm_mode": VllmMode.server}


def job(method: str = "grpo", sequences: int = 8, changed: dict[str, Any] | None = None, **arguments: Any) -> Workload:
    """A job on a GPU in bfloat16, with an adapter of rank 2 on two layers.

    Args:
        method: its name.
        sequences: of an optimizer step.
        changed: ``group.key`` -> value.
        arguments: TRL's.
    """
    groups: dict[str, Any] = {
        "model": Model(name="m", max_seq_length=100, lora=Lora(r=2, target_modules=["q_proj", "down_proj"])),
        "hardware": Hardware(name="h", device=Device.cuda, memory_gib=10.0, dtype=Dtype.bfloat16),
        "rollout": Rollout(name="generate"),
    }
    size = Size(**vars(SIZE))
    for key, value in (changed or {}).items():
        group, _, name = key.partition(".")
        setattr(size if group == "size" else groups[group], name, value)
    given = {"optim": "adamw_torch_fused", **arguments}
    return Workload(size, groups["model"], groups["hardware"], groups["rollout"], METHODS[method], given, sequences)
