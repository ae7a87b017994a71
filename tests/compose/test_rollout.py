"""What samples the completions, by model and hardware, each decided for a job made by hand."""

from __future__ import annotations

import dataclasses

import pytest

from rlexp.compose import fit, rollout
from rlexp.compose.schema import Device, Loader, RunSchema, Size, VllmMode
from rlexp.compose.workload import parameters
from tests.compose.jobs import job

SMALL = Size(10, 512, 1024, 8, 8, 64, 30_000, True)
"""42e6 parameters."""
LARGE = Size(36, 2560, 9728, 32, 8, 128, 151_936, True)
"""4.0e9."""
GPU = {"rollout.name": "auto", "hardware.memory_gib": 79.0}
TWO = {**GPU, "hardware.rollout_devices": 1}


def chosen(size, changed, method="grpo", ahead=False, sequences=8):
    made = dataclasses.replace(job(method, sequences, changed), size=size)
    groups = RunSchema(model=made.model, hardware=made.hardware, rollout=made.rollout)
    made.model.size = size
    found = rollout.choose(groups, made, ahead)
    assert found.fast_inference is (found.name == "unsloth")
    assert found.vllm_mode.name == (found.name if found.name in ("colocate", "server") else "none")
    return found.name, found.loader.name, found.why


@pytest.mark.parametrize(
    ("size", "changed", "method", "ahead", "name", "loader", "why"),
    [
        (LARGE, GPU, "sft", False, "generate", "unsloth", "sft samples no completions while it trains"),
        (LARGE, {**GPU, "hardware.device": Device.cpu}, "grpo", False, "generate", "unsloth", "vLLM needs a GPU"),
        (SMALL, {**GPU, "model.load_in_4bit": True}, "grpo", False, "unsloth", "unsloth", "only Unsloth's engine"),
        (SMALL, {**TWO, "model.load_in_4bit": True}, "grpo", True, "unsloth", "unsloth", "only Unsloth's engine"),
        (LARGE, TWO, "grpo", True, "server", "unsloth", "a GPU samples the next step while the other trains"),
        (LARGE, GPU, "grpo", True, "colocate", "unsloth", "4.0e9 parameters: there is room"),  # no GPU is left for it
        (SMALL, {**TWO, "model.full_finetuning": True}, "grpo", False, "server", "unsloth", "a GPU for it"),
        (SMALL, {**TWO, "rollout.loader": Loader.transformers}, "grpo", False, "server", "transformers", "for it"),
        (None, TWO, "grpo", False, "server", "unsloth", "the hardware has a GPU for it"),
        (SMALL, {**GPU, "model.full_finetuning": True}, "grpo", False, "colocate", "transformers", "every weight"),
        (LARGE, {**GPU, "rollout.loader": Loader.transformers}, "grpo", False, "colocate", "transformers", "asked for"),
        (None, GPU, "grpo", False, "unsloth", "unsloth", "the model's size is not known"),
        (SMALL, GPU, "grpo", False, "colocate", "transformers", "42e6 parameters: faster without Unsloth below 1e9"),
        (SMALL, TWO, "grpo", False, "colocate", "transformers", "method.off_policy_steps=1 uses both"),
        (LARGE, TWO, "grpo", False, "colocate", "unsloth", "method.off_policy_steps=1 uses both"),
        (
            LARGE,
            {**GPU, "hardware.memory_gib": 14.5},
            "grpo",
            False,
            "unsloth",
            "unsloth",
            "a second copy",
        ),
        (LARGE, {**TWO, "hardware.memory_gib": 14.5}, "grpo", False, "server", "unsloth", "a GPU for the second copy"),
    ],
)
def test_auto_becomes_one_of_the_others_and_says_why(size, changed, method, ahead, name, loader, why):
    found = chosen(size, changed, method, ahead)
    assert found[:2] == (name, loader) and why in found[2]
    assert ("uses both" in found[2]) == ("uses both" in why)


def test_a_model_is_small_below_a_thousand_million_parameters(monkeypatch):
    for count, loader in ((10**9 - 1, "transformers"), (10**9, "unsloth")):
        monkeypatch.setattr(rollout, "parameters", lambda size, count=count: count)
        assert chosen(LARGE, GPU)[1] == loader


def test_what_was_said_beside_auto_stays():
    made = job(changed={**GPU, "rollout.enforce_eager": True, "rollout.gpu_memory_utilization": 0.4})
    groups = RunSchema(model=made.model, hardware=made.hardware, rollout=made.rollout)
    found = rollout.choose(groups, made, ahead=False)
    assert (found.enforce_eager, found.gpu_memory_utilization) == (True, 0.4)


def test_there_is_room_for_a_second_copy_where_it_costs_no_wave_no_pass_and_no_recomputation(monkeypatch):
    made = dataclasses.replace(job(changed=GPU, sequences=64), size=LARGE)
    assert rollout.fits_second_copy(made)
    small = dataclasses.replace(job(changed={**GPU, "hardware.memory_gib": 20.0}, sequences=64), size=LARGE)
    assert not rollout.fits_second_copy(small)
    own = VllmMode.colocate
    real = fit.waves
    monkeypatch.setattr(fit, "waves", lambda work: real(work) + (work.rollout.vllm_mode is own))
    assert not rollout.fits_second_copy(made)  # a wave more
    monkeypatch.setattr(fit, "waves", real)
    resolve_hardware = fit.resolve_hardware

    def smaller(work):
        hardware, asked = resolve_hardware(work)
        half = work.rollout.vllm_mode is own
        return dataclasses.replace(hardware, sequences_per_device=32 if half else 64), asked

    monkeypatch.setattr(fit, "resolve_hardware", smaller)
    assert not rollout.fits_second_copy(made)  # a pass more

    def recomputed(work):
        hardware, asked = resolve_hardware(work)
        return dataclasses.replace(hardware, gradient_checkpointing=work.rollout.vllm_mode is own), asked

    monkeypatch.setattr(fit, "resolve_hardware", recomputed)
    assert not rollout.fits_second_copy(made)
    monkeypatch.setattr(fit, "resolve_hardware", resolve_hardware)
    monkeypatch.setattr(fit, "fits", lambda *given: False)
    assert not rollout.fits_second_copy(made)


@pytest.mark.parametrize(
    ("sequences", "micro", "spare"), [(64, (64, 63), False), (64, (40, 33), True), (64, (32, 31), False)]
)
def test_passes_are_whole_ones(monkeypatch, sequences, micro, spare):
    made = dataclasses.replace(job(changed=GPU, sequences=sequences), size=SMALL)
    resolve_hardware = fit.resolve_hardware

    def settled(work):
        hardware, asked = resolve_hardware(work)
        own = work.rollout.vllm_mode is VllmMode.colocate
        return dataclasses.replace(hardware, sequences_per_device=micro[own]), asked

    monkeypatch.setattr(fit, "resolve_hardware", settled)
    assert rollout.fits_second_copy(made) is spare


def test_the_sizes_are_what_their_names_say():
    assert round(parameters(SMALL) / 1e6) == 42 and round(parameters(LARGE) / 1e9, 1) == 4.0
