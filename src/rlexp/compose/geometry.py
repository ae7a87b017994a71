"""Batch geometry: from what an experiment says (prompts a step) and a machine holds to the trainer's arguments.

The optimisation problem is ``prompts_per_step * num_generations`` sequences an optimizer step, on any number of
devices. Only how they are split into micro-batches follows the hardware.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rlexp.errors import RunError


@dataclass(frozen=True)
class Geometry:
    """The split of one optimizer step's sequences into passes."""

    sequences_per_step: int
    """Completions (or preference pairs) in one optimizer step, over all devices."""
    per_device_train_batch_size: int
    """Sequences of one forward and backward pass on one device."""
    gradient_accumulation_steps: int
    """Passes before the optimizer steps."""
    devices: int
    """Data-parallel processes."""


def derive(prompts_per_step: int, num_generations: int, devices: int, sequences_per_device: int) -> Geometry:
    """The split with the fewest passes that fits: micro-batch x passes x devices is exactly a step's sequences.

    Args:
        prompts_per_step: prompts (or pairs) of one optimizer step, over all devices.
        num_generations: completions a prompt; 1 for methods that sample none.
        devices: data-parallel processes.
        sequences_per_device: the largest micro-batch a device holds.

    Raises:
        RunError: a step's sequences do not divide by the devices.
    """
    sequences = prompts_per_step * num_generations
    if sequences % devices:
        fitting = next(
            n for n in range(prompts_per_step + 1, prompts_per_step + devices + 1) if n * num_generations % devices == 0
        )
        fewer = next(count for count in range(devices - 1, 0, -1) if sequences % count == 0)
        stays = f"hardware.devices={fewer}"
        hint = f"type {stays}, the experiment stays the same; or method.prompts_per_step={fitting}"
        raise RunError(
            f"{prompts_per_step} prompts x {num_generations} completions = {sequences} sequences a step "
            f"do not divide by {devices} devices",
            where="method.prompts_per_step, method.num_generations, hardware.devices",
            hint=hint if fewer > 1 else f"type method.prompts_per_step={fitting}, or {stays}",
        )
    share = sequences // devices
    micro = next(size for size in micro_batches(share) if size <= sequences_per_device)
    return Geometry(sequences, micro, share // micro, devices)


def micro_batches(share: int) -> list[int]:
    """The micro-batches that a device's sequences of a step can be split into, the largest first."""
    small = [size for size in range(1, math.isqrt(share) + 1) if share % size == 0]
    return sorted({*small, *(share // size for size in small)}, reverse=True)
