"""The memory estimate of composed runs: measured peaks, and what an option or a method changes."""

import dataclasses

import pytest

from rlexp.compose import activations, memory
from rlexp.compose.workload import GIB, Workload, adapter_parameters, parameters, weights
from tests.compose import measured_points

S4B = measured_points.SHAPES["4b"]
PAIRS = ("method=dpo", "dataset=arithmetic_preferences")


def job(run, shape=None, **arguments):
    sequences = run.geometry.sequences_per_step // run.geometry.devices
    asked = {**run.arguments, **arguments}
    return Workload(shape or run.model.size, run.model, run.hardware, run.rollout, run.method, asked, sequences)


def test_weights_of_a_4_bit_base_are_less_than_a_third(composed):
    run = composed("model=qwen3_4b", "hardware=h100")
    four = composed("model=qwen3_4b", "hardware=h100", "model.load_in_4bit=true")
    assert weights(job(run)) == 2 * parameters(S4B)
    assert weights(job(four)) < weights(job(run)) / 2.5


@pytest.mark.parametrize(
    ("overrides", "part", "value"),
    [
        ([], "adapter", 16),  # float32 weight, gradient, two states
        (["method.optim=adamw_8bit"], "adapter", 10),
        (["method.optim=sgd"], "adapter", 8),
        (["method.beta=0.04"], "adapter", 16),  # its reference is the base
        (["model.full_finetuning=true"], "all", 4),  # two states in bfloat16, and the gradients
        (["model.full_finetuning=true", "method.optim=paged_adamw_8bit"], "all", 2),
        (["model.full_finetuning=true", "method.beta=0.04"], "all", 6),  # the reference model
    ],
)
def test_what_training_adds_by_optimizer(composed, overrides, part, value):
    run = composed("model=qwen3_4b", "hardware=h100", *overrides)
    count = adapter_parameters(S4B, run.model) if part == "adapter" else parameters(S4B)
    gradients = memory.gradients(job(run)) if part == "all" else 0
    assert memory.trained(job(run)) == gradients + count * value


@pytest.mark.parametrize(
    ("shape", "full", "sequences", "tokens", "recomputed", "reserved"),
    measured_points.GENERATE,
    ids=["-".join(map(str, point[:5])) for point in measured_points.GENERATE],
)
def test_what_torch_reserved_is_covered_and_no_more_than_a_tenth_is_added(
    shape, full, sequences, tokens, recomputed, reserved
):
    found = memory.estimate(measured_points.job(shape, full, sequences, tokens), sequences, recomputed)
    assert reserved <= found.reserved / GIB <= 1.10 * reserved


def test_gradients_of_all_layers_are_there_while_the_last_goes_backward():
    found = memory.estimate(measured_points.job("1.7b", True, 32, 509), 32, True)
    started = dataclasses.replace(found, last_layer=0)
    peak = 15.09  # allocated forward and backward (perf/results/2026-11-30_memory_h200.md)
    assert (started.training - started.overhead) / GIB < peak <= (found.training - found.overhead) / GIB <= 1.10 * peak


@pytest.mark.parametrize("shape", ["4b", "1.7b"])
def test_what_ran_out_of_memory_was_above_the_device(shape):
    found = memory.estimate(measured_points.job(shape, False, 32, 2981), 32, False)
    assert found.total > 143_771 * 2**20


@pytest.mark.parametrize(
    ("overrides", "shape", "tokens", "recomputed", "cache_gib", "own", "measured"),
    # peaks allocated on H100s (perf/results/2026-11-25_*_h100.md), with a cache of vLLM's that was fixed
    [
        (("rollout=colocate",), "135m", 64 * 274, False, 4, 1, 19.5),
        (("rollout=unsloth",), "4b", 32 * 530, True, 4, 0, 16.4),
        (("rollout=colocate", "rollout.loader=unsloth"), "4b", 32 * 530, True, 4, 1, 23.8),
        (("rollout=colocate", "rollout.loader=unsloth"), "1.7b", 32 * 530, True, 8, 1, 17.6),
        (("rollout=server",), "4b", 32 * 530, True, 0, 0, 12.9),
        (("rollout=unsloth",), "4b", 16 * 530, False, 4, 0, 38.3),
        (("rollout=unsloth",), "4b", 8 * 530, False, 4, 0, 25.4),
        (PAIRS, "135m", 29312 // 2, False, 0, 0, 6.4),
    ],
)
def test_what_was_allocated_beside_an_engine_is_covered(
    composed, overrides, shape, tokens, recomputed, cache_gib, own, measured
):
    size = measured_points.SHAPES[shape]
    work = job(composed("hardware=h100", "model=smollm2_135m", *overrides), size)
    parts = weights(work) * (1 + own) + memory.trained(work) + cache_gib * GIB
    parts += activations.activations(work, tokens, recomputed) + activations.logits(work, tokens, recomputed)
    assert measured <= parts / GIB <= 1.12 * measured


def test_a_pair_is_two_sequences(composed):
    common = ("hardware=h100", "model=qwen3_4b")
    dpo = job(composed("method=dpo", "dataset=arithmetic_preferences", *common))
    sft = job(composed("method=sft", "dataset=arithmetic_demonstrations", *common))
    assert memory.estimate(dpo, 4, False).activations == memory.estimate(sft, 8, False).activations


def test_transformers_cache_is_gone_when_the_model_trains(composed):
    found = memory.Estimate(1, 0, 7, 1, 4, 2, 1, cache_stays=False)
    assert found.total == 10 and dataclasses.replace(found, cache_stays=True).total == 16


@pytest.mark.parametrize("rollout", ["unsloth", "colocate"])
@pytest.mark.parametrize("option", ["h100", "l4_24gb", "t4_16gb", "cuda"])
def test_vllms_share_holds_the_completions_of_a_step_or_half_of_what_is_free(composed, option, rollout):
    run = composed(f"hardware={option}", "model=qwen3_0_6b", f"rollout={rollout}")
    work = job(run)
    needed = memory.cache_per_token(work) * work.tokens * work.sequences
    free = work.capacity - memory.OVERHEAD - weights(work) * (2 if rollout == "colocate" else 1)
    free -= memory.workspace(work) + memory.trained(work)
    assert 0 < run.rollout.gpu_memory_utilization <= 0.95
    assert run.memory.cache >= min(needed, free / 2)
    assert run.memory.total <= work.capacity
