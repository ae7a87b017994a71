"""What a pass forward and backward holds, against counts by hand of jobs.SIZE: two layers, h 8, i 16, q 12, kv 6, a
vocabulary of 32, in two bytes a number."""

from __future__ import annotations

import pytest

from rlexp.compose import activations
from rlexp.compose.schema import Loader
from rlexp.compose.workload import GIB
from tests.compose import jobs

TRANSFORMERS = {"rollout.loader": Loader.transformers}
FULL = {"model.full_finetuning": True}
SAVED = 4 * 8 + 2 * 16 + 3 * 12 + 2 * 6 + 12 + 6
PLAIN = SAVED - 12 - 6
WORK = 2 * (16 + 8)


@pytest.mark.parametrize(
    ("changed", "numbers"),
    [
        ({}, SAVED),
        ({"size.qk_norm": False}, PLAIN),
        (FULL, SAVED + 16),
        (TRANSFORMERS, (9 * 8 + 3 * 12 + 2 * 6 + 4 * 16) * 1.1),
    ],
)
def test_a_layer_saves_so_many_numbers_of_a_token(changed, numbers):
    assert activations.saved(jobs.job(changed=changed)) == pytest.approx(2 * numbers)


def test_dropout_in_front_of_the_adapter_keeps_a_mask_of_a_byte():
    work = jobs.job()
    work.model.lora.lora_dropout = 0.1
    assert activations.saved(work) == 2 * SAVED + 5 * 8 + 12 + 16


def test_layers_are_kept_whole_or_with_recomputation_their_inputs_and_one_whole():
    kernels = GIB // 10
    assert activations.activations(jobs.job(), 10, False) == int(10 * 2 * (2 * SAVED + WORK) * 1.02) + kernels
    assert activations.activations(jobs.job(), 10, True) == int(10 * 2 * (2 * 8 + SAVED + WORK) * 1.02) + kernels


def test_packed_rows_have_a_mask_a_layer_where_every_weight_is_trained():
    whole, one = (jobs.job(changed=FULL), 100), (jobs.job("dpo", changed=FULL), 100)
    assert activations.masks(*whole, 2) == 100 * 100 * 2 * 3
    assert activations.masks(*one, 2) == activations.masks(jobs.job(), 100, 2) == 0
    assert activations.masks(jobs.job(changed={**FULL, **TRANSFORMERS}), 100, 2) == 0


@pytest.mark.parametrize(
    ("method", "loader", "tokens", "rows", "number"),
    [
        ("grpo", Loader.unsloth, 5000, 4096, 6),
        ("grpo", Loader.unsloth, 10, 10, 6),
        ("orpo", Loader.transformers, 5000, 5000, 10),
        ("grpo", Loader.transformers, 5000, 1024, 10),
        ("orpo", Loader.unsloth, 5000, 4096, 6),
    ],
)
def test_the_head_holds_the_scores_of_a_chunk_before_a_layer_is_at_work(method, loader, tokens, rows, number):
    work = jobs.job(method, changed={"rollout.loader": loader, "size.vocab_size": 64})
    whole = rows * 64 * number
    at_work = tokens * activations.layer(work, False)
    assert activations.logits(work, tokens, False) == max(whole - at_work, 0)


def test_a_trained_head_has_its_gradient_beside():
    full = activations.logits(jobs.job(changed=FULL), 1, True)
    assert full == 32 * 8 * 2 + max(32 * 6 - activations.layer(jobs.job(changed=FULL), True), 0)


@pytest.mark.parametrize(
    ("tokens", "hidden", "vocabulary", "rows"),
    # of Unsloth: a power of two below tokens x hidden / vocabulary, at least 512 of 151936 and at most 4096
    [
        (16384, 2560, 151936, 512),
        (98304, 2560, 151936, 1024),
        (400_000, 2560, 151936, 4096),
        (17536, 576, 49152, 1024),
        (300, 576, 49152, 300),
    ],
)
def test_a_chunk_of_the_head_follows_the_tokens_and_the_vocabulary(tokens, hidden, vocabulary, rows):
    work = jobs.job(changed={"size.hidden_size": hidden, "size.vocab_size": vocabulary})
    assert activations.chunk(work, tokens) == rows
