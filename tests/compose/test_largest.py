"""The largest geometry that fits, for composed runs: what is offered fits, and one more does not."""

from __future__ import annotations

import re

import pytest

from rlexp.compose import largest
from rlexp.compose.memory import estimate
from rlexp.errors import RunError

FOUR = ("model=qwen3_4b", "hardware=h100")
SMALL = ("model=qwen3_4b", "hardware=l4_24gb", "rollout=generate")
PAIRS = ("method=dpo", "dataset=arithmetic_preferences", "model=qwen3_4b", "hardware=l4_24gb")


def test_the_largest_micro_batch_that_is_trained_fits_and_the_next_does_not(composed):
    run = composed(*FOUR, "rollout=unsloth")
    found, job = largest.of(run), run.workload
    assert 0 < found.plain < found.recomputed == job.sequences == 64
    assert estimate(job, found.plain, False).total <= job.capacity < estimate(job, 2 * found.plain, False).total
    assert (found.prompts, found.tokens) == (run.prompts_per_step, job.tokens)


@pytest.mark.parametrize(
    ("overrides", "offered"),
    [
        ((*FOUR, "hardware.sequences_per_device=64", "hardware.gradient_checkpointing=false"), "sequences_per_device"),
        (SMALL, "method.prompts_per_step="),
        ((*SMALL, "model.max_seq_length=32768", "method.max_completion_length=30000"), "model.max_seq_length="),
        (("model=qwen3_4b", "hardware=t4_16gb", "rollout=unsloth", "hardware.memory_gib=13"), "gpu_memory_utilization"),
        ((*PAIRS, "model.max_seq_length=32768", "method.max_length=null", "hardware.memory_gib=10"), "max_seq_length="),
    ],
)
def test_what_is_offered_composes_and_fits(composed, overrides, offered):
    run = composed(*overrides)
    assert run.memory.total > run.workload.capacity
    typed = largest.of(run).overrides
    assert any(offered in word for word in typed)
    again = composed(*overrides, *typed)
    assert again.memory.total <= again.workload.capacity


@pytest.mark.parametrize("prompts", [8, 13, 21])
def test_what_is_named_is_what_would_be_trained(composed, prompts):
    run = composed(*FOUR, "rollout=unsloth", f"method.prompts_per_step={prompts}")
    found = largest.of(run)
    for size, checkpointing in ((found.plain, "false"), (found.recomputed, "true")):
        typed = (f"hardware.sequences_per_device={size}", f"hardware.gradient_checkpointing={checkpointing}")
        again = composed(*FOUR, "rollout=unsloth", f"method.prompts_per_step={prompts}", *typed)
        assert again.geometry.per_device_train_batch_size == size
    again = composed(*FOUR, "rollout=unsloth", f"method.prompts_per_step={prompts}", *found.overrides)
    assert f"hardware.sequences_per_device={again.geometry.per_device_train_batch_size}" in found.overrides


KTO = ("model=qwen3_4b", "hardware=t4_16gb", "method=kto", "dataset=arithmetic_judged")
BNPO = ("model=qwen3_4b", "hardware=l4_24gb", "method.loss_type=bnpo", "rollout=generate")
ORPO = (*PAIRS[1:], "method=orpo", "rollout.patches=off", "preflight.smoke=never", "method.prompts_per_step=64")


@pytest.mark.parametrize("typed", [KTO, BNPO, ORPO])
def test_a_loss_that_needs_a_step_in_one_pass_is_offered_what_holds_it_and_fits(composed, typed):
    with pytest.raises(RunError) as caught:
        composed(*typed)
    offered = re.search(
        r"(method\.prompts_per_step=\d+ )?hardware\.seq[^ ]+ hardware\.gradient[a-z_=]+", caught.value.hint
    )
    run = composed(*typed, *offered[0].split())
    assert run.memory.total <= run.workload.capacity and run.geometry.gradient_accumulation_steps == 1
    assert largest.of(run).overrides[-2:] == tuple(offered[0].split()[-2:])


@pytest.mark.parametrize("typed", [KTO, BNPO])
def test_of_a_step_that_does_not_fit_in_one_pass_a_smaller_one_is_offered(composed, typed):
    sequences = 16 if typed == KTO else 64
    run = composed(*typed, f"hardware.sequences_per_device={sequences}")
    assert run.memory.total > run.workload.capacity
    for _ in range(3):  # and where the estimate was wrong of that too, again
        offered = largest.smaller(run)
        typed = (*typed, *offered)
        run = composed(*typed)
        assert run.geometry.gradient_accumulation_steps == 1 and run.memory.total <= run.workload.capacity


def test_kto_is_offered_no_step_of_one(composed):
    run = composed(*KTO, "hardware.sequences_per_device=16", "hardware.memory_gib=9.7")
    found = largest.of(run)
    assert found.tokens < run.workload.tokens and found.prompts == 2 and found.recomputed == 2


def test_where_nothing_fits_nothing_is_offered_and_an_unknown_shape_has_none(composed):
    nothing = largest.of(composed("model=qwen3_4b", "hardware=t4_16gb", "hardware.memory_gib=4"))
    assert nothing == largest.Largest(0, 0, 0, 0, ())
    assert largest.of(composed(*FOUR, "model.size=null")) is None


@pytest.mark.parametrize(
    ("overrides", "typed"),
    [
        # the estimate said that it fits: half of it
        (("hardware.sequences_per_device=8",), "hardware.sequences_per_device=8 hardware.gradient_checkpointing=true"),
        (
            ("hardware.sequences_per_device=8", "hardware.gradient_checkpointing=true"),
            "hardware.sequences_per_device=4",
        ),
        (("hardware.sequences_per_device=1", "hardware.gradient_checkpointing=true"), "method.prompts_per_step=4"),
        (
            ("hardware.sequences_per_device=1", "hardware.gradient_checkpointing=true", "method.prompts_per_step=1"),
            "model.max_seq_length=768 method.max_completion_length=512",
        ),
    ],
)
def test_after_it_ran_out_something_smaller_is_offered(composed, overrides, typed):
    plain = () if "checkpointing" in "".join(overrides) else ("hardware.gradient_checkpointing=false",)
    assert " ".join(largest.smaller(composed(*FOUR, "rollout=generate", *overrides, *plain))) == typed


def test_after_it_ran_out_where_the_estimate_knew_what_fits_is_offered(composed):
    run = composed(*FOUR, "hardware.sequences_per_device=64", "hardware.gradient_checkpointing=false")
    assert largest.smaller(run) == largest.of(run).overrides
