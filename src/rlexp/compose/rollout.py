"""``rollout=auto``: what samples the completions, by model and hardware, from what was measured. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

from rlexp.compose import memory
from rlexp.compose.methods import Method
from rlexp.compose.schema import Device, Loader, Rollout, RunSchema, VllmMode

ENGINES: dict[str, dict[str, Any]] = {
    "generate": {},
    "unsloth": {"fast_inference": True},
    "colocate": {"vllm_mode": VllmMode.colocate, "loader": Loader.transformers},
    "server": {"vllm_mode": VllmMode.server},
}
"""What the options of conf/rollout set."""

SMALL = 1_000_000_000
"""Parameters below which TRL's vLLM and a transformers model take less time a step than Unsloth's; and they start in
half the time. Measured at 135M and 4B (benchmarks/results), so the number itself is a guess in between."""


def choose(groups: RunSchema, method: Method) -> Rollout:
    """The rollout with its engine chosen, and why; everything else of it stays as it was said."""
    name, why = _engine(groups, method)
    return dataclasses.replace(groups.rollout, name=name, why=why, **ENGINES[name])


def _engine(groups: RunSchema, method: Method) -> tuple[str, str]:
    model, size = groups.model, groups.model.size
    if not method.online:
        return "generate", f"{method.name} samples no completions while it trains"
    if groups.hardware.device is Device.cpu:
        return "generate", "vLLM needs a GPU"
    if model.load_in_4bit:
        return "unsloth", "only Unsloth's engine samples from a 4-bit base"
    if groups.hardware.rollout_devices:
        return "server", "the hardware has a GPU for it"
    if model.full_finetuning:
        return "colocate", "every weight is trained, and Unsloth's engine shares frozen ones"
    if size is None:
        return "unsloth", "the model's size is not known"
    count = memory.parameters(size)
    said = f"{count / 1e9:.1f}e9 parameters" if count >= SMALL else f"{count / 1e6:.0f}e6 parameters"
    if count < SMALL:
        return "colocate", f"{said}: faster than Unsloth's engine below {SMALL / 1e9:g}e9 (benchmarks/results)"
    return "unsloth", f"{said}: the faster step from {SMALL / 1e9:g}e9 on (benchmarks/results)"
