"""The largest geometry that fits, for composed runs: what is offered fits, and one more does not."""

from __future__ import annotations

import pytest

from rlexp.compose import largest
from rlexp.compose.memory import estimate

FOUR = ("model=qwen3_4b", "hardware=h100")
SMALL = ("model=qwen3_4b", "hardware=l4_24gb", "rollout=generate")
PAIRS = ("method=dpo", "dataset=arithmetic_preferences", "model=qwen3_4b", "hardware=l4_24gb")


def test_the_largest_micro_batch_fits_and_one_sequence_more_does_not(composed):
    run = composed(*FOUR, "rollout=unsloth")
    found, job = largest.of(run), run.workload
    assert 0 < found.plain < found.recomputed == job.sequences == 64
    assert estimate(job, found.plain, False).total <= job.capacity < estimate(job, found.plain + 1, False).total
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
            "model.max_seq_length=768",
        ),
    ],
)
def test_after_it_ran_out_something_smaller_is_offered(composed, overrides, typed):
    plain = () if "checkpointing" in "".join(overrides) else ("hardware.gradient_checkpointing=false",)
    assert " ".join(largest.smaller(composed(*FOUR, "rollout=generate", *overrides, *plain))) == typed


def test_after_it_ran_out_where_the_estimate_knew_what_fits_is_offered(composed):
    run = composed(*FOUR, "hardware.sequences_per_device=64", "hardware.gradient_checkpointing=false")
    assert largest.smaller(run) == largest.of(run).overrides
