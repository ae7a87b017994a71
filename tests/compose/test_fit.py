"""What follows from the estimate: micro-batch, recomputation, vLLM's share, waves."""

from __future__ import annotations

import dataclasses
import math

import pytest

from rlexp.compose import fit, memory
from rlexp.compose.schema import Device
from rlexp.compose.workload import GIB, UNKNOWN_GIB, weights
from tests.compose.jobs import COLOCATE, SERVER, UNSLOTH, job


@pytest.mark.parametrize(
    ("overrides", "checkpointing"),
    [
        (["hardware=h100", "model=smollm2_135m"], False),
        (["hardware=t4_16gb", "model=qwen3_4b"], True),
        (["hardware=h100", "model=qwen3_4b", "hardware.gradient_checkpointing=false"], False),
        (["hardware=h100", "model=smollm2_135m", "hardware.gradient_checkpointing=true"], True),
        # one pass does without
        (["hardware=l4_24gb", "model=smollm2_135m", "model.max_seq_length=1024"], True),
        (["hardware=h100", "model=qwen3_4b", "method.prompts_per_step=2", "method.num_generations=2"], False),
    ],
)
def test_recomputation_is_chosen_where_it_saves_passes(composed, overrides, checkpointing):
    assert composed(*overrides).hardware.gradient_checkpointing is checkpointing


def test_what_was_typed_wins(composed):
    run = composed(
        *("hardware=h100", "model=qwen3_4b", "rollout=unsloth"),
        *("hardware.sequences_per_device=3", "rollout.gpu_memory_utilization=0.7", "hardware.memory_gib=40"),
    )
    assert (run.hardware.sequences_per_device, run.hardware.memory_gib) == (3, 40)
    assert run.rollout.gpu_memory_utilization == 0.7
    assert run.memory.cache + run.memory.weights + run.memory.engine == pytest.approx(0.7 * 40 * GIB)


def test_a_model_of_unknown_size_gets_careful_numbers(composed):
    run = composed("hardware=h100", "model=qwen3_4b", "model.size=null", "rollout=colocate")
    assert run.memory is None
    assert (run.hardware.sequences_per_device, run.hardware.gradient_checkpointing) == (4, True)
    assert run.rollout.gpu_memory_utilization == 0.3


def test_without_vllm_there_is_no_share(composed):
    assert composed("hardware=h100", "rollout=generate").rollout.gpu_memory_utilization is None


def activations_fill(sequences, **changed):
    """A job whose memory is just filled by a micro-batch of so many sequences, without recomputation."""
    work = job(sequences=64, changed=changed)
    needed = memory.estimate(work, sequences, False).training / fit.FILL
    return job(sequences=64, changed={**changed, "hardware.memory_gib": needed / GIB})


@pytest.mark.parametrize("sequences", [1, 2, 7, 16, 64])
def test_a_device_is_filled_and_not_beyond(sequences):
    work = activations_fill(sequences)
    assert fit.fits(work, sequences, False)
    assert not fit.fits(work, sequences + 1, False)
    assert fit.largest(work, False) == sequences


def test_a_micro_batch_is_at_least_one_and_at_most_a_step_or_the_least_bound():
    tiny = {"hardware.memory_gib": 0.001}
    assert fit.largest(job(changed=tiny), True) == 1  # none fits; it is tried all the same
    assert fit.largest(job(sequences=8), True) == fit.LEAST == 64
    assert fit.largest(job(sequences=100), True) == 100


def test_the_seconds_of_a_step_are_those_that_were_measured_at_4b(composed):
    """perf/results/2026-11-25_4b_h100.md: 0.969 with recomputation; 0.851, 1.162 without it in 2 and 4 passes."""
    run = composed("hardware=h200", "model=qwen3_4b")
    work = dataclasses.replace(job(sequences=32), size=run.model.size, model=run.model, hardware=run.hardware)
    work = dataclasses.replace(work, arguments={**work.arguments, "max_length": int(512 / fit.LENGTH)})
    for micro, recomputed, measured in ((32, True, 0.969), (16, False, 0.851), (8, False, 1.162)):
        assert fit.seconds(work, micro, recomputed) == pytest.approx(measured, rel=0.05)


def test_what_does_not_fit_takes_for_ever_and_a_step_has_no_more_than_its_sequences():
    work = activations_fill(7)
    assert fit.seconds(work, 8, False) == math.inf
    assert fit.seconds(work, None, False) == fit.seconds(work, 7, False)
    few = job(sequences=4)
    assert fit.seconds(few, 100, False) == fit.seconds(few, 4, False)


def test_long_sequences_are_not_recomputed_however_many_passes_they_are(composed):
    """64 x 3000 tokens of 4B: a pass of few sequences is no shorter than its launches any more."""
    long = ("model.max_seq_length=3128", "method.max_completion_length=3000", "method.prompts_per_step=8")
    run = composed("hardware=h200", "model=qwen3_4b", *long, "method.num_generations=8")
    assert not run.hardware.gradient_checkpointing and run.geometry.gradient_accumulation_steps > 1


def test_a_step_whose_cache_is_half_of_it_is_sampled_in_two_waves():
    work = job(sequences=64, changed={**COLOCATE, "rollout.gpu_memory_utilization": 0.9})
    needed = memory.cache_per_token(work) * work.tokens * 64
    for part, waves in ((1.0, 1), (0.5, 2), (0.26, 4)):
        taken = weights(work) + memory.workspace(work) + part * needed
        small = job(sequences=64, changed={**COLOCATE, "rollout.gpu_memory_utilization": (taken + 1) / work.capacity})
        assert fit.waves(small) == waves
    none = job(sequences=64, changed={**COLOCATE, "rollout.gpu_memory_utilization": 0.001})
    assert fit.waves(none) == needed  # no cache at all: as many as can be


@pytest.mark.parametrize(
    ("changed", "sequences", "checkpointing", "share"),
    [
        ({}, 64, False, None),
        ({"hardware.sequences_per_device": 3}, 3, False, None),
        ({"hardware.gradient_checkpointing": True}, 64, True, None),
        ({"hardware.memory_gib": 0.001}, 1, True, None),  # nothing fits: as little as there can be
        ({"rollout.gpu_memory_utilization": 0.7}, 64, False, 0.7),
        ({**SERVER}, 64, False, 0.9),
        ({**SERVER, "rollout.gpu_memory_utilization": 0.4}, 64, False, 0.4),
    ],
)
def test_what_is_open_is_settled_and_what_was_said_stays(changed, sequences, checkpointing, share):
    hardware, rollout = fit.resolve_hardware(job(changed=changed))
    assert (hardware.sequences_per_device, hardware.gradient_checkpointing) == (sequences, checkpointing)
    assert rollout.gpu_memory_utilization == share


def test_recomputation_pays_where_it_saves_passes():
    size = {"size.num_hidden_layers": 40}
    work = job(sequences=64, changed=size)
    needed = memory.estimate(work, 32, False).training / fit.FILL / GIB  # two passes without, one with
    for gib, wanted in ((needed, True), (100 * needed, False)):
        hardware, _ = fit.resolve_hardware(job(sequences=64, changed={**size, "hardware.memory_gib": gib}))
        assert hardware.gradient_checkpointing is wanted
        assert hardware.sequences_per_device == 64


def test_a_gpu_that_nobody_measured_has_what_a_small_card_has_and_a_cpu_keeps_what_it_says():
    unknown = {"hardware.memory_gib": None}
    assert fit.resolve_hardware(job(changed=unknown))[0].memory_gib == UNKNOWN_GIB
    assert fit.resolve_hardware(job(changed={**unknown, "hardware.device": Device.cpu}))[0].memory_gib is None
    assert fit.resolve_hardware(job(changed={"hardware.memory_gib": 40.0}))[0].memory_gib == 40.0


@pytest.mark.parametrize(
    ("changed", "sequences", "checkpointing", "share"),
    [
        ({}, 4, True, None),
        ({"hardware.sequences_per_device": 9, "hardware.gradient_checkpointing": False}, 9, False, None),
        (COLOCATE, 4, True, 0.3),
        (UNSLOTH, 4, True, 0.5),
        (SERVER, 4, True, 0.5),
        ({**UNSLOTH, "rollout.gpu_memory_utilization": 0.6}, 4, True, 0.6),
    ],
)
def test_a_model_of_unknown_size_gets_careful_numbers_for_what_is_open(changed, sequences, checkpointing, share):
    work = job(changed=changed)
    hardware, rollout = fit.resolve_unknown_size(work.hardware, work.rollout)
    assert (hardware.sequences_per_device, hardware.gradient_checkpointing) == (sequences, checkpointing)
    assert rollout.gpu_memory_utilization == share
