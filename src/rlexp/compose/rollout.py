"""``rollout=auto``: what samples the completions, by model and hardware, from what was measured. Pure."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rlexp.compose import fit
from rlexp.compose.schema import Device, Loader, Rollout, RunSchema, VllmMode
from rlexp.compose.workload import Workload, parameters

ENGINES: dict[str, dict[str, Any]] = {
    "generate": {},
    "unsloth": {"fast_inference": True},
    "colocate": {"vllm_mode": VllmMode.colocate, "loader": Loader.transformers},
    "server": {"vllm_mode": VllmMode.server},
}
"""The settings of each option of conf/rollout."""

SMALL = 1_000_000_000
"""Parameters below which a transformers model takes less time a step than Unsloth's; and it starts in half the time.
Measured at 135M and 4B (perf/results), so the number itself is a guess in between."""
FOLD = 9.4e-11
"""Seconds a parameter that a step takes longer with shared weights, into which the adapter is folded and out again:
4.37 for 3.99 s at 4B on an H100 (perf/results/2026-11-25_4b_h100.md)."""


def choose(groups: RunSchema, job: Workload, ahead: bool) -> Rollout:
    """The rollout with its engine chosen, and why; everything else of it stays as it was typed.

    Args:
        job: of these groups, with the rollout as it was typed.
        ahead: completions are sampled while the step before trains, where a GPU is left for that.
    """
    name, loader, why = _engine(groups, job, ahead)
    engine = {**ENGINES[name], **({"loader": loader} if loader else {})}
    return dataclasses.replace(groups.rollout, name=name, why=why, **engine)


def _engine(groups: RunSchema, job: Workload, ahead: bool) -> tuple[str, Loader | None, str]:
    """(option, loader where it is not the option's, why)."""
    model, size, extra_gpus = groups.model, groups.model.size, groups.hardware.rollout_devices
    by_transformers = groups.rollout.loader is Loader.transformers
    if not job.method.online:
        return "generate", None, f"{job.method.name} samples no completions while it trains"
    if groups.hardware.device is Device.cpu:
        return "generate", None, "vLLM needs a GPU"
    if model.load_in_4bit:
        return "unsloth", None, "only Unsloth's engine samples from a 4-bit base"
    if extra_gpus and ahead:
        return "server", None, "a GPU samples the next step while the other trains"
    if extra_gpus and (model.full_finetuning or by_transformers or size is None):
        return "server", None, "the hardware has a GPU for it"
    if model.full_finetuning:
        return "colocate", None, "every weight is trained, and Unsloth's engine shares frozen ones"
    if by_transformers:
        return "colocate", None, "Unsloth's engine comes with Unsloth's model, and transformers' is asked for"
    if size is None:
        return "unsloth", None, "the model's size is not known"
    count = parameters(size)
    idle = "; a second GPU would wait for the first: method.off_policy_steps=1 uses both" if extra_gpus else ""
    if count < SMALL:
        message = f"{count / 1e6:.0f}e6 parameters"
        return "colocate", None, f"{message}: faster without Unsloth below {SMALL / 1e9:g}e9 (perf/results){idle}"
    message = f"{count / 1e9:.1f}e9 parameters"
    if fits_second_copy(job):
        why = "there is room for vLLM's own weights, which spare folding the adapter in and out (perf/results)"
        return "colocate", Loader.unsloth, f"{message}: {why}{idle}"
    if extra_gpus:
        return "server", None, f"{message}: the hardware has a GPU for the second copy of the weights"
    return "unsloth", None, f"{message}: a second copy of the weights would cost passes or not fit"


def fits_second_copy(job: Workload) -> bool:
    """Says whether vLLM can have weights of its own beside Unsloth's model: a step is sampled in as many waves as with
    shared ones, and what its passes take longer is no more than what a step with shared ones does."""
    waves, seconds = [], []
    for name in ("unsloth", "colocate"):
        rollout = dataclasses.replace(job.rollout, **{**ENGINES[name], "loader": Loader.unsloth})
        hardware, rollout = fit.resolve_hardware(dataclasses.replace(job, rollout=rollout))
        resolved = dataclasses.replace(job, hardware=hardware, rollout=rollout)
        waves.append(fit.waves(resolved))
        seconds.append(fit.seconds(resolved, hardware.sequences_per_device, bool(hardware.gradient_checkpointing)))
    shared, own = seconds
    return waves[0] == waves[1] and own < math.inf and own <= shared + FOLD * parameters(job.size)
