"""The settings that follow from the estimate of the memory: micro-batch, recomputation, and vLLM's share of the
device."""

from __future__ import annotations

import dataclasses
import math

from rlexp.compose import geometry
from rlexp.compose.memory import cache_per_token, estimate, share
from rlexp.compose.schema import Device, Hardware, Rollout, VllmMode
from rlexp.compose.workload import UNKNOWN_GIB, Workload, parameters

FILL = 0.9
"""The share of a device that is filled by choice; the rest is for what the estimate misses."""


LAUNCH, TOKEN, AGAIN = 0.008, 1.29e-14, 1.14
"""Seconds that launching the kernels of a layer takes in a pass forward and backward, those of a token a parameter, and
what recomputing the layers multiplies them by; adapters on all linear layers, Unsloth's model, an H100."""

LENGTH = 0.5
"""The share of its full length that a sequence is taken to have where seconds are compared: most end before it, and
many passes of short ones are many launches."""

LEAST = 64
"""A bound below which the largest micro-batch is not lowered to a step: evaluation samples in batches of it too."""


def resolve_hardware(job: Workload) -> tuple[Hardware, Rollout]:
    """Hardware and rollout with numbers where they were left open; a number that was typed stays."""
    hardware, rollout = job.hardware, job.rollout
    if hardware.device is Device.cuda:
        hardware = dataclasses.replace(hardware, memory_gib=hardware.memory_gib or UNKNOWN_GIB)
    if rollout.vllm and rollout.gpu_memory_utilization is None:
        rollout = dataclasses.replace(rollout, gpu_memory_utilization=share(job))
    job = dataclasses.replace(job, hardware=hardware, rollout=rollout)
    typed, checkpointing = hardware.sequences_per_device, hardware.gradient_checkpointing
    if checkpointing is None:
        without = seconds(job, typed, False)
        checkpointing = math.isinf(without) or without > seconds(job, typed, True)
    sequences = typed or largest(job, checkpointing)
    return dataclasses.replace(hardware, sequences_per_device=sequences, gradient_checkpointing=checkpointing), rollout


def resolve_unknown_size(hardware: Hardware, rollout: Rollout) -> tuple[Hardware, Rollout]:
    """Does as ``resolve_hardware``, for a model of unknown size."""
    share = rollout.gpu_memory_utilization or (0.3 if rollout.vllm_mode is VllmMode.colocate else 0.5)
    checkpointing = hardware.gradient_checkpointing
    return dataclasses.replace(
        hardware,
        sequences_per_device=hardware.sequences_per_device or 4,
        gradient_checkpointing=True if checkpointing is None else checkpointing,
    ), dataclasses.replace(rollout, gpu_memory_utilization=share if rollout.vllm else rollout.gpu_memory_utilization)


def fits(job: Workload, sequences: int, checkpointing: bool) -> bool:
    """Says whether training on a micro-batch of so many sequences leaves the device some room."""
    return estimate(job, sequences, checkpointing).training <= FILL * job.capacity


def seconds(job: Workload, typed: int | None, checkpointing: bool) -> float:
    """About the seconds of a step's passes on an H100, by which settings are compared; infinite where the micro-batch,
    the typed one or the largest, does not fit.

    A pass takes as long as its tokens, or as launching its kernels where that takes longer. So recomputation is worth
    it where it saves short passes: 32 sequences of 512 tokens at 4B took 0.97 s in one pass with it, and without it
    0.85 s in two and 1.16 s in four (perf/results/2026-11-25_4b_h100.md, the figures of LAUNCH and TOKEN).
    """
    micro = min(typed or largest(job, checkpointing), job.sequences)
    if not fits(job, micro, checkpointing):
        return math.inf
    taken = geometry.derive(job.sequences, 1, 1, micro)
    length = job.method.sequences_per_row * job.tokens * LENGTH
    launched, token = LAUNCH * job.size.num_hidden_layers, TOKEN * parameters(job.size)
    one = max(launched, token * length * taken.per_device_train_batch_size)
    return (AGAIN if checkpointing else 1.0) * taken.gradient_accumulation_steps * one


def largest(job: Workload, checkpointing: bool) -> int:
    """The largest micro-batch that fits, 1 where none does; no more than a step has, or LEAST."""
    low, high = 1, max(job.sequences, LEAST)
    if fits(job, job.sequences, checkpointing):  # a single pass has no gradients beside its activations
        low = job.sequences
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(job, middle, checkpointing) else (low, middle - 1)
    return low


def waves(job: Workload) -> int:
    """The number of waves in which a resolved job's vLLM decodes the completions of a step, at full length."""
    cache = max(estimate(job, 1, True).cache, 1)
    return math.ceil(cache_per_token(job) * job.tokens * job.sequences / cache)
