"""The memory estimate of composed runs: measured peaks, and what an option or a method changes."""

import dataclasses

import pytest

from rlexp.compose import memory
from rlexp.compose.schema import Size

GIB = 2**30
# perf/sides/work.py's 135m and 4b, of which there are measured peaks
S135M = Size(30, 576, 1536, 9, 3, 64, 49152, True)
S4B = Size(36, 2560, 9728, 32, 8, 128, 151936, True)
PAIRS = ("method=dpo", "dataset=arithmetic_preferences")


def job(run, shape=None, **arguments):
    sequences = run.geometry.sequences_per_step // run.geometry.devices
    asked = {**run.arguments, **arguments}
    return memory.Workload(shape or run.model.size, run.model, run.hardware, run.rollout, run.method, asked, sequences)


def test_weights_of_a_4_bit_base_are_less_than_a_third(composed):
    run = composed("model=qwen3_4b", "hardware=h100")
    four = composed("model=qwen3_4b", "hardware=h100", "model.load_in_4bit=true")
    assert memory.weights(job(run)) == 2 * memory.parameters(S4B)
    assert memory.weights(job(four)) < memory.weights(job(run)) / 2.5


@pytest.mark.parametrize(
    ("overrides", "part", "value"),
    [
        ([], "adapter", 16),  # float32 weight, gradient, two states
        (["method.optim=adamw_8bit"], "adapter", 10),
        (["method.optim=sgd"], "adapter", 8),
        (["method.beta=0.04"], "adapter", 16),  # its reference is the base
        (["model.full_finetuning=true"], "all", 6),  # bfloat16 gradient and two states
        (["model.full_finetuning=true", "method.optim=paged_adamw_8bit"], "all", 4),
        (["model.full_finetuning=true", "method.beta=0.04"], "all", 8),  # the reference model
    ],
)
def test_what_training_adds_by_optimizer(composed, overrides, part, value):
    run = composed("model=qwen3_4b", "hardware=h100", *overrides)
    count = memory.adapter_parameters(S4B, run.model) if part == "adapter" else memory.parameters(S4B)
    assert memory.trained(job(run)) == count * value


@pytest.mark.parametrize(
    ("rollout", "shape", "tokens", "checkpointing", "cache_gib", "own", "measured"),
    # peaks of torch's allocator on one H100, perf/results/2026-11-25_*_h100.md; vLLM's cache was fixed
    [
        (("rollout=colocate",), S135M, 64 * 274, False, 4, 1, 19.5),
        (("rollout=unsloth",), S4B, 32 * 530, True, 4, 0, 16.4),
        (("rollout=colocate", "rollout.loader=unsloth"), S4B, 32 * 530, True, 4, 1, 23.8),
    ],
)
def test_measured_peaks_are_met_within_a_fifth(
    composed, rollout, shape, tokens, checkpointing, cache_gib, own, measured
):
    work = job(composed("hardware=h100", "model=smollm2_135m", *rollout), shape)
    assert peak(work, tokens, checkpointing, cache_gib, own) == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize(
    ("overrides", "shape", "tokens", "cache_gib", "measured"),
    # as above, without recomputation
    [
        (("rollout=unsloth",), S4B, 16 * 530, 4, 38.3),
        (("rollout=unsloth",), S4B, 8 * 530, 4, 25.4),
        (PAIRS, S135M, 29312 // 2, 0, 6.4),
    ],
)
def test_what_unsloth_holds_is_covered_and_not_far_over(composed, overrides, shape, tokens, cache_gib, measured):
    work = job(composed("hardware=h100", "model=smollm2_135m", *overrides), shape)
    assert measured <= peak(work, tokens, False, cache_gib, own=0) <= 2.2 * measured


def peak(work, tokens, checkpointing, cache_gib, own):
    """GiB of torch's allocator, by the estimate; ``own`` is 1 where vLLM has weights of its own."""
    parts = memory.weights(work) * (1 + own) + memory.trained(work) + cache_gib * GIB
    return (parts + memory.activations(work, tokens, checkpointing) + memory.logits(work, tokens)) / GIB


def test_only_trls_orpo_holds_the_whole_vocabulary(composed):
    pairs = ("hardware=h100", "model=qwen3_4b", "dataset=arithmetic_preferences")
    tokens = 8192
    chunk = memory.CHUNK_TOKENS * 151936 * memory.CHUNK_BYTES
    for method, loader, whole in (
        ("orpo", "transformers", True),
        ("orpo", "unsloth", False),
        ("dpo", "transformers", False),
    ):
        found = memory.logits(job(composed(f"method={method}", f"rollout.loader={loader}", *pairs)), tokens)
        assert found == (tokens * 151936 * memory.CHUNK_BYTES if whole else chunk)


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
    free = work.capacity - memory.OVERHEAD - memory.weights(work) * (2 if rollout == "colocate" else 1)
    free -= memory.workspace(work) + memory.trained(work)
    assert 0 < run.rollout.gpu_memory_utilization <= 0.95
    assert run.memory.cache >= min(needed, free / 2)
    assert run.memory.total <= work.capacity
