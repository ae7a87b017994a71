"""Micro-batches of like length: the same gradient with less padding."""

from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rlexp.build import micro_batches

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
        {"args": SimpleNamespace(steps_per_generation=1, gradient_accumulation_steps=1, pad_to_multiple_of=None)},
        {"args": SimpleNamespace(steps_per_generation=4, gradient_accumulation_steps=2, pad_to_multiple_of=None)},
        {"args": SimpleNamespace(steps_per_generation=4, gradient_accumulation_steps=4, pad_to_multiple_of=8)},
    ],
)
def test_only_where_the_gradient_does_not_depend_on_the_split(changes):
    assert micro_batches.applies(trainer())
    assert not micro_batches.applies(trainer(**changes))


def test_the_trainer_is_given_the_sorted_ones_once_a_generation_and_evaluation_is_left_alone():
    held = trainer(_step=0, _buffered_inputs=None, _compute_loss=None)

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
    held._buffered_inputs, held._prepare_inputs = micro_batches.resplit(step()), None
    shares = [torch.rand(len(batch["completion_mask"])) for batch in held._buffered_inputs]

    def loss(model, inputs):
        share, tokens = shares[held._step % 4], inputs["completion_mask"].sum(1)
        mean = (share * tokens).sum() / tokens.sum()
        logged = (mean, mean, share.min(), share.max())
        for name, value in zip(names, logged, strict=True):
            held._metrics["train"][name].append(value.item())

    held._compute_loss = loss
    micro_batches.by_length(held)
    for held._step in range(8):  # two steps that are logged together
        held._compute_loss(None, held._buffered_inputs[held._step % 4])
    tokens = torch.cat([batch["completion_mask"].sum(1) for batch in held._buffered_inputs])
    share = torch.cat(shares)
    whole = ((share * tokens).sum() / tokens.sum()).item()
    found = {name: sum(values) / len(values) for name, values in held._metrics["train"].items()}
    assert found == pytest.approx(dict(zip(names, (whole, whole, share.min().item(), share.max().item()), strict=True)))
