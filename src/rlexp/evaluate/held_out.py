"""The comparison before and after training: completions of held-out prompts, scored by the reward's terms.

The same prompts and the same seed before and after, so that only the weights differ.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rlexp.build.model import end_ids
from rlexp.compose.run import Run
from rlexp.reward.rubric import Rubric, text_of


@dataclass(frozen=True)
class Sampling:
    """How completions are sampled, in transformers' own names; what is left alone samples from the plain softmax."""

    max_new_tokens: int
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0: no limit."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further arguments of ``generate`` (min_p, repetition_penalty)."""


@dataclass(frozen=True)
class Measurement:
    """What one set of weights does on the held-out prompts."""

    means: dict[str, float]
    """Mean score by term over the prompts it applies to, and of their combination as ``reward``."""
    errors: dict[str, float]
    """Standard error of each mean, over the prompts."""
    prompts: list[str]
    completions: list[str]
    rewards: list[float]
    """The combined reward, one a completion; 0 where no term applies."""
    lengths: list[int]
    """Tokens, one a completion."""


def measure(run: Run, model: Any, tokenizer: Any, rubric: Rubric, rows: Any) -> Measurement:
    """Samples one completion a row and scores it.

    Args:
        rows: a ``datasets.Dataset`` with ``prompt`` and the columns the rewards read.

    Returns:
        Means over the rows. Terms whose columns the rows lack are left out.
    """
    prompts = list(rows["prompt"])
    sampling = Sampling(run.held_out.max_new_tokens, run.held_out.temperature)
    ids = generate(run, model, tokenizer, rendered(run, tokenizer, prompts), sampling)
    completions = tokenizer.batch_decode(ids, skip_special_tokens=True)
    columns = {name: list(rows[name]) for name in rows.column_names if name != "prompt"}
    scored = rubric.score(completions, prompts, {**columns, "completion_ids": ids})
    kept = {name: _applied(scores) for name, scores in {**scored.scores, "reward": scored.rewards}.items()}
    kept = {name: scores for name, scores in kept.items() if scores}
    return Measurement(
        means={name: statistics.fmean(values) for name, values in kept.items()},
        errors={name: statistics.pstdev(values) / len(values) ** 0.5 for name, values in kept.items()},
        prompts=[text_of(prompt) for prompt in prompts],
        completions=completions,
        rewards=[reward or 0.0 for reward in scored.rewards],
        lengths=[len(item) for item in ids],
    )


def rendered(run: Run, tokenizer: Any, prompts: Sequence[Any]) -> list[str]:
    """The prompts as the model reads them, special tokens included: conversations through the chat template, plain text
    behind the tokenizer's BOS where it has one, as the trainer does."""
    extra = run.arguments.get("chat_template_kwargs") or {}
    bos = tokenizer.bos_token_id
    texts = []
    for prompt in prompts:
        if not isinstance(prompt, str):
            prompt = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False, **extra)
        elif (
            bos is not None
            and tokenizer(prompt)["input_ids"][:1] == [bos]
            and not prompt.startswith(tokenizer.bos_token)
        ):
            prompt = tokenizer.bos_token + prompt
        texts.append(prompt)
    return texts


def prompt_ids(run: Run, tokenizer: Any, prompts: Sequence[Any]) -> list[list[int]]:
    """The token ids of the prompts, as ``generate`` reads them."""
    return tokenizer(rendered(run, tokenizer, prompts), add_special_tokens=False)["input_ids"]


def _applied(scores: list[float | None]) -> list[float]:
    return [score for score in scores if score is not None]


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """The ids that end a completion: those of the generation config, and the tokenizer's."""
    return {*end_ids(model.generation_config), tokenizer.eos_token_id}


def generate(run: Run, model: Any, tokenizer: Any, texts: list[str], sampling: Sampling) -> list[list[int]]:
    """One completion a text, as token ids without padding; the random state of the process stays as it was."""
    import torch

    device = model.device
    how = {"do_sample": True, "temperature": sampling.temperature} if sampling.temperature else {"do_sample": False}
    ends = end_tokens(model, tokenizer)
    completions: list[list[int]] = []
    side, tokenizer.padding_side = tokenizer.padding_side, "left"
    was_training = model.training
    if hasattr(model, "for_inference"):
        model.for_inference()
    model.eval()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad():
        torch.manual_seed(run.seed)
        size = min(run.hardware.sequences_per_device or 1, 64)
        for start in range(0, len(texts), size):
            batch = tokenizer(texts[start : start + size], return_tensors="pt", padding=True, add_special_tokens=False)
            out = model.generate(
                **batch.to(device),
                max_new_tokens=sampling.max_new_tokens,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                pad_token_id=tokenizer.pad_token_id,
                **how,
                **sampling.more,
            )
            completions += [_until_end(row, ends) for row in out[:, batch["input_ids"].shape[1] :].tolist()]
    if hasattr(model, "for_training"):
        model.for_training()
    model.train(was_training)
    tokenizer.padding_side = side
    return completions


def _until_end(ids: list[int], ends: set[int]) -> list[int]:
    for position, token in enumerate(ids):
        if token in ends:
            return ids[: position + 1]
    return ids
