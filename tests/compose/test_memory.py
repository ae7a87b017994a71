"""The memory estimate: its parts against counts by hand and measured peaks, and what is chosen by it."""

import pytest

from rlexp.compose import memory
from rlexp.compose.schema import Dtype, Loader, Lora, Model, Size
from tests.compose import jobs

GIB = 2**30
# perf/sides/work.py's 135m and 4b, of which there are measured peaks
S135M = Size(30, 576, 1536, 9, 3, 64, 49152, True)
S4B = Size(36, 2560, 9728, 32, 8, 128, 151936, True)
PAIRS = ("method=dpo", "dataset=arithmetic_preferences")


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


@pytest.mark.parametrize(("mode", "copies"), [(jobs.UNSLOTH, 0), (jobs.COLOCATE, 1)])
def test_a_share_counts_what_training_takes_before_it_halves_the_rest(mode, copies):
    work = jobs.job(sequences=10**6, changed={**mode, "size.num_hidden_layers": 400_000, "model.full_finetuning": True})
    own, trained = memory.weights(work) + 2 * GIB + 32 * 32 * 10**6, memory.trained(work)
    assert memory.weights(work) > 0.5 * GIB and trained > 1.5 * GIB
    free = 10 * GIB - own - copies * memory.weights(work) - trained - 1.5 * GIB
    expected = (own + free / 2) / (10 * GIB) / (0.98 if mode == jobs.UNSLOTH else 1.0) + 0.005
    assert memory.share(work) == round(expected, 2)
