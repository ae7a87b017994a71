"""Refuses what a run on several devices cannot be combined with, where it would train another thing or was never tried.
Pure.

Losses over a pass are ``whole_step``'s.
"""

from __future__ import annotations

from rlexp.compose.schema import Rollout, VllmMode
from rlexp.errors import RunError


def check(devices: int, off_policy_steps: int, rollout: Rollout) -> None:
    """Checks what several devices are combined with.

    Args:
        devices: that train.

    Raises:
        RunError: something does not go together with them.
    """
    if rollout.seed_rows and not rollout.patches:
        raise RunError(
            "rollout.seed_rows=true is a patch of transformers, and none is applied",
            where="rollout.patches=off, rollout.seed_rows=true",
            hint="leave one of them out",
        )
    if devices > 1 and off_policy_steps:
        raise RunError(
            f"completions are sampled a step ahead on one device; on {devices} it was never tried",
            where="method.off_policy_steps, hardware.devices",
            hint="type method.off_policy_steps=0, or hardware.devices=1",
        )
    if devices > 1 and rollout.vllm_mode is VllmMode.server:
        raise RunError(
            f"{devices} devices train, and a vLLM server is sent the weights of one: it was never tried",
            where=f"rollout={rollout.name}, hardware.devices",
            hint="type rollout=colocate (each device samples its part of the batch), or hardware.devices=1",
        )
    if devices > 1 and not rollout.patches:
        raise RunError(
            f"{devices} devices sample what one would by a patch (seeded_rows), and none is applied",
            where="rollout.patches=off, hardware.devices",
            hint="leave rollout.patches=off out, or type hardware.devices=1",
        )
