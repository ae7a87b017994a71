"""The tokenizer with the run and rows that its checks look at, and TRL's way to render a prompt: the trainer's tokens,
before there is a trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rlexp.backend.prompts import Dialogue, Messages, WithTools, prompt_ids, tools_of
from rlexp.compose.run import Run

ANSWER = "An answer."
"""Stands for a completion where the data has none."""
LOOKED_AT = 4
"""Rows that are rendered turn by turn."""


def sampler_ids(run: Run, tokenizer: Any, prompts: Sequence[Dialogue]) -> list[list[int]]:
    """The prompts as what samples held-out completions tokenizes them (``evaluate.sampler``)."""
    return prompt_ids(tokenizer, prompts, run.chat_template_kwargs)


@dataclass(frozen=True)
class TokenizerContext:
    """A tokenizer with the run and the rows that it will meet."""

    run: Run
    tokenizer: Any
    """The tokenizer of transformers, or, after loading, of Unsloth."""
    where: str
    """The model's folder or hub id, for messages."""
    vocab_size: int | None
    """Rows of the embedding; None where the config does not say."""
    ends: tuple[int, ...]
    """The ids of ``generation_config.eos_token_id``; empty where there is none."""
    rows: Sequence[dict[str, Any]]
    """Rows of the training data, opened by the model's system prompt as the trainer gets them."""
    evaluation: Callable[[Run, Any, Sequence[Dialogue]], list[list[int]]] = sampler_ids
    """The evaluation's way to tokenize prompts."""
    tags: tuple[str, ...] = ()
    """The tags that the reward looks for in a completion."""

    labels: tuple[int, int] | None = None
    """All rows of the data that are labelled true, and false; None where they have no labels."""
    every: int = 1
    """Of the rows of the data every so many-th is there."""

    def number(self, row: int) -> int:
        """The number of a row in the data."""
        return row * self.every

    @property
    def conversational(self) -> bool:
        """The rows are conversations, which the chat template renders."""
        return any(not isinstance(row["prompt"], str) for row in self.rows[:LOOKED_AT])

    @cached_property
    def conversations(self) -> list[tuple[Messages, Messages]]:
        """(prompt, reply) of a few rows; none where the data is plain text, which no template renders."""
        rows = [row for row in self.rows[:LOOKED_AT] if not isinstance(row["prompt"], str)]
        return [(row["prompt"], _reply(row)) for row in rows]

    @cached_property
    def all_ends(self) -> set[int]:
        """Every id that ends a completion: the tokenizer's and those of the generation config."""
        named = self.run.arguments.get("eos_token")
        own = self.tokenizer.convert_tokens_to_ids(named) if named else self.tokenizer.eos_token_id
        return {*self.ends, *([] if own is None else [own])}

    def text(self, messages: Messages, generation_prompt: bool = False) -> str:
        """The messages as the chat template writes them."""
        return self.tokenizer.apply_chat_template(
            messages,
            add_generation_prompt=generation_prompt,
            tokenize=False,
            **tools_of(messages),
            **self.run.chat_template_kwargs,
        )


def trainer_ids(run: Run, tokenizer: Any, prompts: Sequence[Dialogue]) -> list[list[int]]:
    """The prompts as the method's trainer tokenizes them.

    Source: ``GRPOTrainer._tokenize_prompts`` of TRL (RLOO's is the same) and ``trl.data_utils._tokenize``; ORPO's adds
    BOS itself, where the prompt does not begin with it.
    """
    if not prompts:
        return []
    if isinstance(prompts[0], str):
        ids = tokenizer(list(prompts), add_special_tokens=not run.method.adds_bos)["input_ids"]
    elif any(isinstance(prompt, WithTools) for prompt in prompts):  # each has tools of its own
        ids = prompt_ids(tokenizer, prompts, run.chat_template_kwargs)
    else:
        ids = tokenizer.apply_chat_template(
            list(prompts), add_generation_prompt=True, tokenize=True, return_dict=True, **run.chat_template_kwargs
        )["input_ids"]
    bos = tokenizer.bos_token_id
    if run.method.adds_bos and bos is not None:
        ids = [row if row[:1] == [bos] else [bos, *row] for row in ids]
    return [list(row) for row in ids]


def _reply(row: dict[str, Any]) -> Messages:
    found = row.get("completion") or row.get("chosen")
    return list(found) if isinstance(found, list) else [{"role": "assistant", "content": ANSWER}]
