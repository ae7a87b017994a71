"""The memory estimate: its parts against counts by hand, and vLLM's share."""

import pytest

from rlexp.compose import activations, memory
from rlexp.compose.workload import GIB, adapter_parameters, weights
from tests.compose import jobs


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
    gradients = int(1.2 * 2 * (jobs.WEIGHTS))
    assert memory.gradients(work) == gradients
    assert memory.trained(work) == gradients + jobs.WEIGHTS * 2 * 2 + reference * weights(work)
    assert memory.trained(jobs.job(method, **given)) == 2 * 2 * (20 + 24) * 16  # of an adapter it is the base


CACHE = 8 * 100 * 2 * 2 * 6 * 2
"""Eight sequences of 100 tokens: keys and values, two layers, kv 6, two bytes."""
WORKSPACE = 2 * GIB + 32 * 32 * 8


def test_a_matrix_that_is_head_and_embedding_has_two_gradients_at_first():
    work = jobs.job(changed={"model.full_finetuning": True, "size.tie_word_embeddings": True})
    assert memory.gradients(work) == int(1.2 * 2 * jobs.WEIGHTS)  # as many as two matrices have


@pytest.mark.parametrize(
    ("limit", "completion", "rows"),
    [
        (100, 30, 70 + 768),  # 70 + 513 tokens, in whole 256
        (1000, 8, 992 + 1536),
        (3000, 2900, 100 + 768 + 1536 + 3072),  # it grows twice
        (3000, 2000, 1000 + 1536 + 3072),
    ],
)
def test_generate_holds_the_prompts_twice_and_every_buffer_that_it_outgrew(limit, completion, rows):
    work = jobs.job(changed={"model.max_seq_length": limit}, max_completion_length=completion)
    prompt = limit - completion
    keys, states, scores = rows * 2 * 2 * 6, 11 * prompt * 8, 15.5 * (rows - prompt) * 4 * 2
    assert memory.cache(work) == (keys + states + scores) * 2 * 8 + int(0.19 * GIB)


def test_transformers_cache_holds_a_step_and_is_gone_when_it_trains():
    found = memory.estimate(jobs.job(), 4, False)
    assert (found.engine, found.cache, found.cache_stays) == (0, memory.cache(jobs.job()), False)
    assert found.activations == activations.activations(jobs.job(), 400, False)
    assert found.logits == activations.logits(jobs.job(), 400, False)
    assert found.gradients == 0 and found.held == found.weights + found.trained + found.overhead
    assert (found.weights, found.overhead) == (2 * jobs.WEIGHTS, int(1.5 * GIB))
    assert found.training == found.held + max(found.activations + found.logits, found.gradients)
    assert found.sampling == found.held + found.cache
    assert found.total == max(found.training, found.sampling) == found.reserved + found.overhead


def test_gradients_come_as_activations_go_where_a_step_is_one_pass():
    gradients = 4 * adapter_parameters(jobs.SIZE, jobs.job().model)
    assert memory.estimate(jobs.job(), 8, False).gradients == gradients
    assert memory.estimate(jobs.job(), 7, False).gradients == 0
    found = memory.Estimate(1, 0, 0, 10, 4, 2, 1, cache_stays=False, gradients=7)
    assert (found.held, found.training, found.sampling) == (1 + 3 + 1, 5 + 7, 5)


@pytest.mark.parametrize(("changed", "own"), [(jobs.COLOCATE, 1), (jobs.UNSLOTH, 0)])
def test_a_vllm_in_the_process_has_its_share_and_keeps_its_cache(changed, own):
    found = memory.estimate(jobs.job(changed={**changed, "rollout.gpu_memory_utilization": 0.5}), 4, False)
    assert found.engine == WORKSPACE + own * 2 * jobs.WEIGHTS
    assert found.cache == 5 * GIB - WORKSPACE - 2 * jobs.WEIGHTS
    assert found.cache_stays and found.sampling == found.held
    kept = found.weights + found.engine + found.cache + found.overhead
    assert found.held == kept + found.trained - found.gradients
    small = memory.estimate(jobs.job(changed={**changed, "rollout.gpu_memory_utilization": 0.01}), 4, False)
    assert small.cache == 0


@pytest.mark.parametrize(("method", "changed"), [("sft", {}), ("grpo", jobs.SERVER)])
def test_what_samples_elsewhere_or_nothing_has_no_cache_here(method, changed):
    found = memory.estimate(jobs.job(method, changed=changed), 4, False)
    assert (found.engine, found.cache, found.cache_stays) == (0, 0, False)


def test_the_record_has_the_parts_and_their_total_in_gib():
    found = memory.Estimate(GIB, 2 * GIB, 3 * GIB, 4 * GIB, 5 * GIB, 6 * GIB, 7 * GIB, cache_stays=True)
    parts = ("weights", "engine", "cache", "trained", "activations", "logits", "overhead")
    assert found.gib() == {**{name: float(n) for n, name in enumerate(parts, start=1)}, "reserved": 21.0, "total": 28.0}


@pytest.mark.parametrize("changed", [jobs.COLOCATE, jobs.UNSLOTH])
def test_a_share_holds_weights_workspace_and_the_cache_of_a_step(changed):
    work = jobs.job(changed=changed)
    taken = (WORKSPACE + 2 * jobs.WEIGHTS + CACHE) / (10 * GIB)
    assert memory.share(work) == round(taken / (0.98 if changed == jobs.UNSLOTH else 1.0) + 0.005, 2)


def test_a_share_leaves_half_of_what_is_free_to_training_but_holds_one_sequence():
    grown = {**jobs.UNSLOTH, "size.num_hidden_layers": 20_000}
    work = jobs.job(sequences=10_000, changed=grown)
    own = weights(work) + memory.workspace(work)
    free = work.capacity - own - memory.trained(work) - memory.OVERHEAD
    assert 0 < free / 2 < memory.cache_per_token(work) * 100 * 10_000
    assert memory.share(work) == round((own + free / 2) / work.capacity / 0.98 + 0.005, 2)
    tight = jobs.job(sequences=10_000, changed={**grown, "hardware.memory_gib": own / GIB})
    one = memory.cache_per_token(tight) * 100
    assert memory.share(tight) == min(0.95, round((own + one) / tight.capacity / 0.98 + 0.005, 2)) == 0.95
    both = jobs.job(sequences=10_000, changed={**grown, **jobs.COLOCATE, "rollout.fast_inference": False})
    rest = both.capacity - own - weights(both) - memory.trained(both) - memory.OVERHEAD
    assert memory.share(both) == round((own + rest / 2) / both.capacity + 0.005, 2)


def test_a_servers_share_is_of_a_device_of_its_own():
    assert memory.share(jobs.job(changed=jobs.SERVER)) == 0.9


@pytest.mark.parametrize(("mode", "copies"), [(jobs.UNSLOTH, 0), (jobs.COLOCATE, 1)])
def test_a_share_counts_what_training_takes_before_it_halves_the_rest(mode, copies):
    work = jobs.job(sequences=10**6, changed={**mode, "size.num_hidden_layers": 400_000, "model.full_finetuning": True})
    own, trained = weights(work) + 2 * GIB + 32 * 32 * 10**6, memory.trained(work)
    assert weights(work) > 0.5 * GIB and trained > 1.5 * GIB
    free = 10 * GIB - own - copies * weights(work) - trained - 1.5 * GIB
    expected = (own + free / 2) / (10 * GIB) / (0.98 if mode == jobs.UNSLOTH else 1.0) + 0.005
    assert memory.share(work) == round(expected, 2)
