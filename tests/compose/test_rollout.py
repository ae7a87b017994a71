"""What samples the completions, by model and hardware, each decided for a job made by hand."""

from __future__ import annotations

import dataclasses
import math

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


@pytest.mark.parametrize(
    ("waves", "shared", "own", "spare"),
    [
        (0, 1.0, 1.0, True),
        (1, 1.0, 1.0, False),
        (0, 1.0, 1.35, True),  # less than the fold takes
        (0, 1.0, 1.4, False),
        (0, math.inf, math.inf, False),
        (0, math.inf, 1.0, True),
    ],
)
def test_there_is_room_for_a_second_copy_where_it_costs_no_wave_and_less_than_the_fold(
    monkeypatch, waves, shared, own, spare
):
    made = dataclasses.replace(job(changed=GPU, sequences=64), size=LARGE)
    monkeypatch.setattr(rollout, "parameters", lambda size: 4e9)
    of_its_own = VllmMode.colocate
    monkeypatch.setattr(fit, "waves", lambda work: 1 + waves * (work.rollout.vllm_mode is of_its_own))
    monkeypatch.setattr(fit, "seconds", lambda work, *_: own if work.rollout.vllm_mode is of_its_own else shared)
    assert rollout.fits_second_copy(made) is spare


def test_a_large_device_has_room_and_a_small_one_has_not():
    made = dataclasses.replace(job(changed=GPU, sequences=64), size=LARGE)
    assert rollout.fits_second_copy(made)
    small = dataclasses.replace(job(changed={**GPU, "hardware.memory_gib": 20.0}, sequences=64), size=LARGE)
    assert not rollout.fits_second_copy(small)


def test_the_sizes_are_what_their_names_say():
    assert round(parameters(SMALL) / 1e6) == 42 and round(parameters(LARGE) / 1e9, 1) == 4.0
