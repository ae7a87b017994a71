"""Micro-batches of like length: the same gradient with less padding."""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import Gemma3TextConfig, GPT2Config, LlamaConfig, LlamaForCausalLM, Phi3Config
from trl import GRPOTrainer

from rlexp.backend.patches import micro_batches

PROMPTS = (3, 5, 1, 2, 4, 5, 2, 3)
COMPLETIONS = (7, 2, 3, 9, 1, 4, 8, 2)


def trainer(**changes):
    held = {
        "args": SimpleNamespace(steps_per_generation=4, gradient_accumulation_steps=4, pad_to_multiple_of=None),
        "num_iterations": 1,
        "loss_type": "dapo",
        "top_entropy_quantile": 1.0,
        "_entropy_bonus_enabled": False,
        "aux_loss_enabled": False,
        "model": SimpleNamespace(training=True, config=LlamaConfig()),
        "_get_per_token_logps_and_entropies": None,
    }
    return SimpleNamespace(**held | changes)


def step(passes=4):
    """What TRL leaves for a step of eight sequences."""
    torch.manual_seed(0)
    width, most = max(PROMPTS), max(COMPLETIONS)
    prompt_mask = torch.tensor([[0] * (width - n) + [1] * n for n in PROMPTS])
    completion_mask = torch.tensor([[1] * n + [0] * (most - n) for n in COMPLETIONS])
    whole = {
        "prompt_ids": torch.randint(1, 32, (8, width)) * prompt_mask,
        "prompt_mask": prompt_mask,
        "completion_ids": torch.randint(1, 32, (8, most)) * completion_mask,
        "completion_mask": completion_mask,
        "advantages": torch.randn(8),
        "ref_per_token_logps": torch.randn(8, most),
        "importance_sampling_ratio": torch.rand(8, 1),
    }
    parts = {name: value.chunk(passes) for name, value in whole.items()}
    return [
        {name: value[i] for name, value in parts.items()} | {"num_items_in_batch": completion_mask.sum()}
        for i in range(passes)
    ]


def test_the_longest_come_first_and_no_column_is_all_padding():
    made = micro_batches.resplit(step())
    lengths = [(batch["prompt_mask"].sum(1) + batch["completion_mask"].sum(1)).tolist() for batch in made]
    assert lengths == [[11, 10], [10, 9], [7, 5], [5, 4]]
    assert [batch["completion_ids"].shape[1] for batch in made] == [9, 8, 2, 3]
    assert [batch["prompt_ids"].shape[1] for batch in made] == [3, 5, 5, 3]
    for batch in made:
        assert batch["ref_per_token_logps"].shape == batch["completion_mask"].shape == batch["completion_ids"].shape
        assert batch["prompt_mask"][:, 0].any() and batch["completion_mask"][:, -1].any()
        assert batch["importance_sampling_ratio"].shape == (2, 1)
        assert batch["num_items_in_batch"] == sum(COMPLETIONS)


def gradient(model, batches):
    """Of a loss as TRL's DAPO: per token, weighted by the sequence and by what was computed token by token."""
    model.zero_grad()
    for batch in batches:
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        seen = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        at = (seen.cumsum(1) - 1).clamp(min=0)
        logits = model(input_ids=ids, attention_mask=seen, position_ids=at).logits[
            :, batch["prompt_ids"].shape[1] - 1 : -1
        ]
        logprobs = logits.log_softmax(-1).gather(-1, batch["completion_ids"].unsqueeze(-1)).squeeze(-1)
        weight = batch["advantages"].unsqueeze(1) * batch["importance_sampling_ratio"] + batch["ref_per_token_logps"]
        ((logprobs * weight * batch["completion_mask"]).sum() / batch["num_items_in_batch"]).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def test_the_gradient_of_the_step_is_the_same():
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=32, num_key_value_heads=2, **shape)).double()
    expected = gradient(model, step())
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(gradient(model, micro_batches.resplit(step())), expected, rtol=1e-9, atol=1e-12)


def gradient_by_trl(loss_type, batches):
    """Of the log-probabilities of every token (one number for all, not one a place) by TRL's own loss."""
    level = "sequence" if loss_type == "luspo" else "token"
    options: dict[str, Any] = {"use_bias_correction_kl": False, "delta": None, "steps_per_generation": 4}
    options |= {"sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.05}
    options |= {"vespo_k_pos": 2.0, "vespo_lambda_pos": 3.0, "vespo_k_neg": 3.0, "vespo_lambda_neg": 2.0}
    held = trainer(
        args=SimpleNamespace(**options),
        accelerator=SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x),
        loss_type=loss_type,
        importance_sampling_level=level,
        off_policy_mask_threshold=None,
        use_vllm=False,
        beta=0.1,
        epsilon_low=0.2,
        epsilon_high=0.2,
        max_completion_length=9,
        current_gradient_accumulation_steps=4,
        get_gamma_weights=GRPOTrainer.get_gamma_weights,
        _metrics={"train": defaultdict(list)},
    )
    table = torch.linspace(-3.0, -0.1, 32, dtype=torch.float64, requires_grad=True)

    def logprobs(model, ids, mask, kept, **_):
        found = table[ids[:, -kept:]]
        return found, torch.ones_like(found), None

    held._get_per_token_logps_and_entropies = logprobs
    for batch in batches:
        GRPOTrainer._compute_loss(held, None, batch).backward()
    return table.grad


@pytest.mark.parametrize("loss_type", ["grpo", "dapo", "dr_grpo", "cispo", "sapo", "luspo", "vespo", "bnpo"])
def test_the_gradient_by_trls_own_loss_depends_on_the_split_for_bnpo_alone(loss_type):
    batches = step()
    for batch in batches:
        batch["old_per_token_logps"] = batch["ref_per_token_logps"] / 9 - 1.5
    expected = gradient_by_trl(loss_type, batches)
    apart = float((gradient_by_trl(loss_type, micro_batches.resplit(batches)) - expected).abs().max())
    assert (apart < 1e-9) is micro_batches.applies(trainer(loss_type=loss_type))
    assert expected.abs().max() > 1e-3


def test_a_sequence_that_is_not_trained_on_may_be_cut_whole():
    batches = step()
    for batch in batches:
        batch["completion_mask"] = torch.zeros_like(batch["completion_mask"])
    assert [batch["completion_ids"].shape for batch in micro_batches.resplit(batches)] == [(2, 1)] * 4


@pytest.mark.parametrize("name", ["pixel_values", "max_left_pad", "token_type_ids"])
def test_what_holds_more_than_text_stays_as_it_is(name):
    batches = [batch | {name: torch.zeros(2, 3)} for batch in step()]
    assert micro_batches.resplit(batches) is batches


@pytest.mark.parametrize(
    "changes",
    [
        {"num_iterations": 2},
        {"loss_type": "bnpo"},
        {"top_entropy_quantile": 0.2},
        {"_entropy_bonus_enabled": True},
        {"aux_loss_enabled": True},
        {"model": SimpleNamespace(config=GPT2Config())},
        {"args": SimpleNamespace(steps_per_generation=1, gradient_accumulation_steps=1, pad_to_multiple_of=None)},
        {"args": SimpleNamespace(steps_per_generation=4, gradient_accumulation_steps=2, pad_to_multiple_of=None)},
        {"args": SimpleNamespace(steps_per_generation=4, gradient_accumulation_steps=4, pad_to_multiple_of=8)},
    ],
)
def test_only_where_the_gradient_does_not_depend_on_the_split(changes):
    assert micro_batches.applies(trainer())
    assert not micro_batches.applies(trainer(**changes))


LONG = {"rope_type": "longrope", "short_factor": [1.0] * 48, "long_factor": [2.0] * 48, "rope_theta": 1e4}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LlamaConfig(), True),
        (LlamaConfig(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}), True),
        (LlamaConfig(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}), False),
        (Gemma3TextConfig(), True),  # of two kinds of layers
        (Phi3Config(rope_parameters={**LONG, "original_max_position_embeddings": 4096}), False),
        (GPT2Config(), False),
    ],
)
def test_padding_is_cut_where_positions_are_distances(config, expected):
    assert micro_batches.rotary(config) is expected


def passing(**changes):
    """A trainer of a real model whose passes are noted."""
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=32, num_key_value_heads=2, **shape)).double()
    seen = []

    def compute(model, ids, mask, kept, batch_size=None, compute_entropy=False, num_images=None):
        """As TRL's; what is padding is 0."""
        made = []
        for part, real in zip(ids.split(batch_size or len(ids)), mask.split(batch_size or len(ids)), strict=True):
            seen.append(tuple(part.shape))
            logits = model(input_ids=part, attention_mask=real).logits[:, :-1]
            found = logits.log_softmax(-1).gather(-1, part[:, 1:].unsqueeze(-1)).squeeze(-1)
            made.append((found * real[:, 1:])[:, -kept:])
        return torch.cat(made).float(), None, None

    held = trainer(_get_per_token_logps_and_entropies=compute, _prepare_inputs=len, _compute_loss=len, **changes)
    micro_batches.by_length(held)
    whole = {name: torch.cat([batch[name] for batch in step()]) for name in (*micro_batches.PROMPT, "completion_mask")}
    whole["completion_ids"] = torch.cat([batch["completion_ids"] for batch in step()])
    ids = torch.cat([whole["prompt_ids"], whole["completion_ids"]], dim=1)
    mask = torch.cat([whole["prompt_mask"], whole["completion_mask"]], dim=1)
    return held, model, compute, seen, (ids, mask, whole["completion_ids"].shape[1])


def test_passes_before_the_training_are_cut_alike_and_compute_the_same():
    held, model, compute, seen, given = passing()
    with torch.no_grad():
        expected = compute(model, *given)[0]
        seen.clear()
        found = held._get_per_token_logps_and_entropies(model, *given, 2, num_images=None)[0]
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert seen == [(2, 12), (2, 13), (2, 7), (2, 6)]


@pytest.mark.parametrize(
    ("training", "batch_size", "options"),
    [
        (False, 2, {}),  # an evaluation
        (True, None, {"compute_entropy": True}),  # the training pass
        (True, 8, {}),  # one pass
        (True, 2, {"num_images": [1] * 8}),
    ],
)
def test_other_passes_go_through_as_they_are(training, batch_size, options):
    held, model, _, seen, given = passing()
    held.model.training = training
    held._get_per_token_logps_and_entropies(model, *given, batch_size=batch_size, **options)
    assert {columns for _, columns in seen} == {max(PROMPTS) + max(COMPLETIONS)}


def test_unsloths_passes_which_pack_are_left_alone():
    def compute(model, ids, mask, kept, batch_size=None, compute_entropy=False, compute_efficient=False):
        """Its signature."""

    held = trainer(_get_per_token_logps_and_entropies=compute, _prepare_inputs=len, _compute_loss=len)
    micro_batches.by_length(held)
    assert held._get_per_token_logps_and_entropies is compute


def test_a_metric_of_the_step_is_a_mean_over_its_tokens():
    batches = step()
    held = trainer(_step=0, _buffered_inputs=None, _metrics={"train": {"entropy": [], "reward": [7.0]}})
    held._get_per_token_logps_and_entropies = lambda model, ids, mask, kept, batch_size=None: None

    def prepare(rows):
        if held._step == 0:
            held._buffered_inputs = batches
        return held._buffered_inputs[held._step]

    def loss(model, inputs):
        held._metrics["train"]["entropy"].append(float(held._step))

    held._prepare_inputs, held._compute_loss = prepare, loss
    micro_batches.by_length(held)
    tokens = []
    for held._step in range(4):
        inputs = held._prepare_inputs([])
        tokens.append(int(inputs["completion_mask"].sum()))
        held._compute_loss(None, inputs)
    logged = held._metrics["train"]
    assert sum(logged["entropy"]) / 4 == pytest.approx(sum(i * n for i, n in enumerate(tokens)) / sum(tokens))
    assert logged["reward"] == [7.0]


def test_the_trainer_is_given_the_sorted_ones_once_a_generation_and_evaluation_is_left_alone():
    held = trainer(_step=0, _buffered_inputs=None, _compute_loss=len, _get_per_token_logps_and_entropies=len)

    def prepare(rows):
        if rows == "evaluation":
            return rows
        if held._step % 4 == 0:
            held._buffered_inputs = step()
        return held._buffered_inputs[held._step % 4]

    held._prepare_inputs = prepare
    micro_batches.by_length(held)
    given = []
    for held._step in range(5):
        given.append(held._prepare_inputs("prompts"))
        assert held._prepare_inputs("evaluation") == "evaluation" if held._step else True
    assert [batch["completion_ids"].shape[1] for batch in given] == [9, 8, 2, 3, 9]


def test_what_is_logged_of_the_passes_is_that_of_the_step():
    """Shares of clipped tokens: a pass counts by its tokens, and the extremes are those of one sequence."""
    names = ("clip_ratio/region_mean", "cispo_clip_ratio", "clip_ratio/low_min", "clip_ratio/high_max")
    held = trainer(_step=0, _metrics={"train": {name: [] for name in names}}, importance_sampling_level="token")
    held.model = SimpleNamespace(training=True)
    held._buffered_inputs = None
    held._get_per_token_logps_and_entropies = len
    shares = [torch.rand(2) for _ in range(4)]

    def prepare(rows):
        if held._step % 4 == 0:
            held._buffered_inputs = step()
        return held._buffered_inputs[held._step % 4]

    def loss(model, inputs):
        share, tokens = shares[held._step % 4], inputs["completion_mask"].sum(1)
        mean = (share * tokens).sum() / tokens.sum()
        logged = (mean, mean, share.min(), share.max())
        for name, value in zip(names, logged, strict=True):
            held._metrics["train"][name].append(value.item())

    held._compute_loss, held._prepare_inputs = loss, prepare
    micro_batches.by_length(held)
    for held._step in range(8):  # two steps that are logged together
        held._compute_loss(None, held._prepare_inputs("prompts"))
    tokens = torch.cat([batch["completion_mask"].sum(1) for batch in held._buffered_inputs])
    share = torch.cat(shares)
    whole = ((share * tokens).sum() / tokens.sum()).item()
    found = {name: sum(values) / len(values) for name, values in held._metrics["train"].items()}
    assert found == pytest.approx(dict(zip(names, (whole, whole, share.min().item(), share.max().item()), strict=True)))
