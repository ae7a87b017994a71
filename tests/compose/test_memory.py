"""The memory estimate: its parts against counts by hand and measured peaks, and what is chosen by it."""

import dataclasses

import pytest

from rlexp.compose import memory
from rlexp.compose.schema import Dtype, Loader, Lora, Model, Size
from tests.compose import jobs

GIB = 2**30
# perf/sides/work.py's 135m and 4b, of which there are measured peaks
S135M = Size(30, 576, 1536, 9, 3, 64, 49152, True)
S4B = Size(36, 2560, 9728, 32, 8, 128, 151936, True)
PAIRS = ("method=dpo", "dataset=arithmetic_preferences")


def job(run, shape=None, **arguments):
    sequences = run.geometry.sequences_per_step // run.geometry.devices
    asked = {**run.arguments, **arguments}
    return memory.Job(shape or run.model.size, run.model, run.hardware, run.rollout, run.method, asked, sequences)


@pytest.mark.parametrize(
    ("shape", "count"),
    # layers x (attention + gate, up, down) + embedding, once where it is the head too; cards state 135M, 4.0B, 1.24B
    [
        (S135M, 30 * (576 * (2 * 576 + 2 * 192) + 3 * 576 * 1536) + 49152 * 576),
        (S4B, 36 * (2560 * (2 * 4096 + 2 * 1024) + 3 * 2560 * 9728) + 151936 * 2560),
        (Size(1, 8, 16, 2, 1, 4, 32, False), 8 * 24 + 3 * 8 * 16 + 2 * 32 * 8),
    ],
)
def test_parameters_are_counted(shape, count):
    assert memory.parameters(shape) == count


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


# --- by hand: jobs.SIZE has two layers, h 8, i 16, q 12, kv 6, a vocabulary of 32, in two bytes a number --------------


@pytest.mark.parametrize(
    ("changed", "weights"),
    [
        ({}, 2 * jobs.WEIGHTS),
        ({"hardware.dtype": Dtype.float32}, 4 * jobs.WEIGHTS),
        ({"size.tie_word_embeddings": True}, 2 * (jobs.WEIGHTS - 32 * 8)),
        ({"model.load_in_4bit": True}, int(2 * jobs.LAYER * 4.5 / 8) + 2 * 2 * 32 * 8),
    ],
)
def test_weights_are_counted_in_their_type(changed, weights):
    assert memory.weights(jobs.job(changed=changed)) == weights


def test_a_layer_is_attention_and_three_projections():
    assert memory.layer_weights(jobs.SIZE) == 8 * 12 * 2 + 8 * 6 * 2 + 3 * 8 * 16 == jobs.LAYER


@pytest.mark.parametrize(
    ("targets", "count"),
    [
        (["q_proj"], 8 + 12),
        (["k_proj"], 8 + 6),
        (["v_proj"], 8 + 6),
        (["o_proj"], 12 + 8),
        (["gate_proj", "up_proj", "down_proj"], 3 * (8 + 16)),
        (["elsewhere"], 0),
    ],
)
def test_an_adapter_has_r_times_both_ends_of_each_layer(targets, count):
    model = Model(lora=Lora(r=3, target_modules=targets))
    assert memory.adapter_parameters(jobs.SIZE, model) == 2 * 3 * count


@pytest.mark.parametrize(
    ("optim", "of_float32"),
    [
        *(("adamw_torch", 8), ("sgd", 0), ("lomo", 0), ("adalomo", 0), ("adafactor", 0), ("lion_32bit", 4)),
        *(("rmsprop", 4), ("adagrad", 4), ("ademamix", 12), ("adamw_8bit", 2), ("adamw_torch_4bit", 2)),
        ("paged_ademamix_8bit", 3),
    ],
)
def test_an_optimizer_keeps_so_many_bytes_of_a_number(optim, of_float32):
    assert memory.optimizer_bytes(optim, 4) == of_float32
    assert memory.optimizer_bytes("adamw_torch", 2) == 4


@pytest.mark.parametrize(
    ("method", "given", "reference"),
    [
        *(("grpo", {"beta": 0.0}, 0), ("grpo", {"beta": 0.1}, 1), ("dpo", {}, 1), ("orpo", {}, 0), ("sft", {}, 0)),
        *(("dpo", {"precompute_ref_log_probs": True}, 0), ("kto", {"beta": 0.0}, 1)),
    ],
)
def test_a_reference_model_is_one_more_copy_where_every_weight_is_trained(method, given, reference):
    work = jobs.job(method, changed={"model.full_finetuning": True}, **given)
    assert memory.trained(work) == jobs.WEIGHTS * (2 + 2 * 2) + reference * memory.weights(work)
    assert memory.trained(jobs.job(method, **given)) == 2 * 2 * (20 + 24) * 16  # of an adapter it is the base


def test_activations_are_a_layers_inputs_or_with_recomputation_one_layer_and_what_lies_between():
    wide = 2 * (9 * 8 + 3 * 12 + 2 * 6 + 4 * 16)
    assert memory.activations(jobs.job(), 10, False) == 10 * 2 * wide
    assert memory.activations(jobs.job(changed={"rollout.loader": Loader.transformers}), 10, False) == int(
        10 * 2 * wide * 1.1
    )
    assert memory.activations(jobs.job(), 10, True) == 10 * (2 * 2 * 8 + wide)


@pytest.mark.parametrize(
    ("method", "loader", "tokens", "held"),
    [
        ("grpo", Loader.unsloth, 5000, 1024),
        ("grpo", Loader.unsloth, 10, 10),
        ("orpo", Loader.transformers, 5000, 5000),
        ("orpo", Loader.unsloth, 5000, 1024),
    ],
)
def test_the_scores_of_a_chunk_of_tokens_are_held_at_once(method, loader, tokens, held):
    work = jobs.job(method, changed={"rollout.loader": loader})
    assert memory.logits(work, tokens) == held * 32 * 10


@pytest.mark.parametrize(
    ("limit", "given", "tokens"),
    [(100, {}, 100), (100, {"max_length": 40}, 40), (100, {"max_length": 400}, 100), (100, {"max_length": None}, 100)],
)
def test_a_sequence_has_the_tokens_of_the_model_or_fewer(limit, given, tokens):
    assert jobs.job("dpo", changed={"model.max_seq_length": limit}, **given).tokens == tokens


def test_a_device_has_what_it_says_or_what_a_small_card_has():
    assert jobs.job().capacity == 10 * GIB
    assert jobs.job(changed={"hardware.memory_gib": None}).capacity == 14.5 * GIB


CACHE = 8 * 100 * 2 * 2 * 6 * 2
"""Eight sequences of 100 tokens: keys and values, two layers, kv 6, two bytes."""
WORKSPACE = 2 * GIB + 32 * 32 * 8


def test_transformers_cache_holds_a_step_and_is_gone_when_it_trains():
    found = memory.estimate(jobs.job(), 4, False)
    assert (found.engine, found.cache, found.cache_stays) == (0, CACHE, False)
    assert found.activations == memory.activations(jobs.job(), 400, False)
    assert found.held == found.weights + found.trained + found.overhead
    assert (found.weights, found.overhead) == (2 * jobs.WEIGHTS, int(1.5 * GIB))
    assert found.training == found.held + found.activations + found.logits
    assert found.sampling == found.held + found.cache
    assert found.total == max(found.training, found.sampling)


@pytest.mark.parametrize(("changed", "own"), [(jobs.COLOCATE, 1), (jobs.UNSLOTH, 0)])
def test_a_vllm_in_the_process_has_its_share_and_keeps_its_cache(changed, own):
    found = memory.estimate(jobs.job(changed={**changed, "rollout.gpu_memory_utilization": 0.5}), 4, False)
    assert found.engine == WORKSPACE + own * 2 * jobs.WEIGHTS
    assert found.cache == 5 * GIB - WORKSPACE - 2 * jobs.WEIGHTS
    assert found.cache_stays and found.sampling == found.held
    assert found.held == found.weights + found.engine + found.cache + found.trained + found.overhead
    small = memory.estimate(jobs.job(changed={**changed, "rollout.gpu_memory_utilization": 0.01}), 4, False)
    assert small.cache == 0


@pytest.mark.parametrize(("method", "changed"), [("sft", {}), ("grpo", jobs.SERVER)])
def test_what_samples_elsewhere_or_nothing_has_no_cache_here(method, changed):
    found = memory.estimate(jobs.job(method, changed=changed), 4, False)
    assert (found.engine, found.cache, found.cache_stays) == (0, 0, False)


def test_the_record_has_the_parts_and_their_total_in_gib():
    found = memory.Estimate(GIB, 2 * GIB, 3 * GIB, 4 * GIB, 5 * GIB, 6 * GIB, 7 * GIB, cache_stays=True)
    parts = ("weights", "engine", "cache", "trained", "activations", "logits", "overhead")
    assert found.gib() == {**{name: float(n) for n, name in enumerate(parts, start=1)}, "total": 28.0}


@pytest.mark.parametrize("changed", [jobs.COLOCATE, jobs.UNSLOTH])
def test_a_share_holds_weights_workspace_and_the_cache_of_a_step(changed):
    work = jobs.job(changed=changed)
    taken = (WORKSPACE + 2 * jobs.WEIGHTS + CACHE) / (10 * GIB)
    assert memory.share(work) == round(taken / (0.98 if changed == jobs.UNSLOTH else 1.0) + 0.005, 2)


def test_a_share_leaves_half_of_what_is_free_to_training_but_holds_one_sequence():
    grown = {**jobs.UNSLOTH, "size.num_hidden_layers": 20_000}
    work = jobs.job(sequences=10_000, changed=grown)
    own = memory.weights(work) + memory.workspace(work)
    free = work.capacity - own - memory.trained(work) - memory.OVERHEAD
    assert 0 < free / 2 < memory.cache_per_token(work) * 100 * 10_000
    assert memory.share(work) == round((own + free / 2) / work.capacity / 0.98 + 0.005, 2)
    tight = jobs.job(sequences=10_000, changed={**grown, "hardware.memory_gib": own / GIB})
    one = memory.cache_per_token(tight) * 100
    assert memory.share(tight) == min(0.95, round((own + one) / tight.capacity / 0.98 + 0.005, 2)) == 0.95
    both = jobs.job(sequences=10_000, changed={**grown, **jobs.COLOCATE, "rollout.fast_inference": False})
    rest = both.capacity - own - memory.weights(both) - memory.trained(both) - memory.OVERHEAD
    assert memory.share(both) == round((own + rest / 2) / both.capacity + 0.005, 2)


def test_a_servers_share_is_of_a_device_of_its_own():
    assert memory.share(jobs.job(changed=jobs.SERVER)) == 0.9
