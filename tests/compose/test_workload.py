"""What decides the memory of a run: parameters, weights, tokens, against counts by hand."""

import pytest

from rlexp.compose import workload
from rlexp.compose.schema import Dtype, Lora, Model, Size
from tests.compose import jobs

GIB = 2**30
# perf/sides/work.py's 135m and 4b, of which there are measured peaks
S135M = Size(30, 576, 1536, 9, 3, 64, 49152, True)
S4B = Size(36, 2560, 9728, 32, 8, 128, 151936, True)


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
    assert workload.parameters(shape) == count


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
    assert workload.weights(jobs.job(changed=changed)) == weights


def test_a_layer_is_attention_and_three_projections():
    assert workload.layer_weights(jobs.SIZE) == 8 * 12 * 2 + 8 * 6 * 2 + 3 * 8 * 16 == jobs.LAYER


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
    assert workload.adapter_parameters(jobs.SIZE, model) == 2 * 3 * count


def test_all_linear_are_all_seven():
    every = Model(lora=Lora(r=1, target_modules="all-linear"))
    assert workload.adapter_parameters(jobs.SIZE, every) == workload.adapter_parameters(
        jobs.SIZE, Model(lora=Lora(r=1))
    )


@pytest.mark.parametrize(
    ("limit", "given", "tokens"),
    [(100, {}, 100), (100, {"max_length": 40}, 40), (100, {"max_length": 400}, 100), (100, {"max_length": None}, 100)],
)
def test_a_sequence_has_the_tokens_of_the_model_or_fewer(limit, given, tokens):
    assert jobs.job("dpo", changed={"model.max_seq_length": limit}, **given).tokens == tokens


def test_a_device_has_what_it_says_or_what_a_small_card_has():
    assert jobs.job().capacity == 10 * GIB
    assert jobs.job(changed={"hardware.memory_gib": None}).capacity == 14.5 * GIB


@pytest.mark.parametrize(
    ("given", "prompt"),
    [
        ({"max_completion_length": 30}, 70),
        ({"max_completion_length": 100}, 1),
        ({"max_completion_length": None}, 1),
        ({}, 1),
    ],
)
def test_a_prompt_has_what_a_completion_leaves(given, prompt):
    assert jobs.job(**given).prompt == prompt
