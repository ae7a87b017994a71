"""Renders a dialogue into the text, and the tokens, that the model reads: the one place where prompts are rendered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rlexp.compose.run import Run
from rlexp.inputs.find import Inputs
from rlexp.inputs.reward_tags import looked_for

Messages = list[dict[str, Any]]
"""A conversation: ``{"role": ..., "content": ...}``, one message after the other."""
Dialogue = str | Messages
"""Plain text, or messages that end before the model speaks; one turn or several."""


class WithTools(list[dict[str, Any]]):
    """A conversation with the tools that it may call, as JSON schemas."""

    def __init__(self, messages: Messages, tools: list[Any]) -> None:
        super().__init__(messages)
        self.tools = tools


def prompt_of(row: Mapping[str, Any]) -> Dialogue:
    """The prompt of a row, with its tools where it has some (a column of JSON text, as TRL's trainers take it)."""
    prompt, tools = row["prompt"], row.get("tools")
    found = json.loads(tools) if isinstance(tools, str) and tools else tools
    return WithTools(prompt, found) if found and not isinstance(prompt, str) else prompt


def joined(prompt: Messages, more: Messages) -> Messages:
    """A conversation that goes on, with the tools that it began with."""
    messages = [*prompt, *more]
    return WithTools(messages, prompt.tools) if isinstance(prompt, WithTools) else messages


def tools_of(dialogue: Dialogue) -> dict[str, Any]:
    """The argument of ``apply_chat_template`` for the tools of a dialogue; none where it has none."""
    return {"tools": dialogue.tools} if isinstance(dialogue, WithTools) else {}


def rendered(tokenizer: Any, dialogues: Sequence[Dialogue], template_kwargs: dict[str, Any]) -> list[str]:
    """The dialogues as the model reads them, special tokens included: conversations through the chat template, plain
    text behind the tokenizer's BOS where it has one, as the trainer does.

    Args:
        template_kwargs: what the run hands to the chat template (``Run.chat_template_kwargs``).
    """
    bos = tokenizer.bos_token_id
    texts = []
    for dialogue in dialogues:
        if not isinstance(dialogue, str):
            text = tokenizer.apply_chat_template(
                dialogue, add_generation_prompt=True, tokenize=False, **tools_of(dialogue), **template_kwargs
            )
        elif (
            bos is not None
            and tokenizer(dialogue)["input_ids"][:1] == [bos]
            and not dialogue.startswith(tokenizer.bos_token)
        ):
            text = tokenizer.bos_token + dialogue
        else:
            text = dialogue
        texts.append(text)
    return texts


def prompt_ids(tokenizer: Any, dialogues: Sequence[Dialogue], template_kwargs: dict[str, Any]) -> list[list[int]]:
    """The token ids of the dialogues, as the model reads them."""
    return tokenizer(rendered(tokenizer, dialogues, template_kwargs), add_special_tokens=False)["input_ids"]


def completion_ids(
    tokenizer: Any, prompt: Dialogue, completions: Sequence[str | Messages], template_kwargs: dict[str, Any]
) -> tuple[list[list[int]], int]:
    """The token ids of a prompt with each of some completions, and the place in them where the completions begin.

    Source: TRL tokenizes prompt and completion together, plain text with the EOS token behind it; the completions begin
    where the first of them leaves the prompt alone.
    """
    alone = prompt_ids(tokenizer, [prompt], template_kwargs)[0]
    texts = []
    for completion in completions:
        if isinstance(prompt, str):
            text, eos = prompt + str(completion), tokenizer.eos_token or ""
            texts.append(rendered(tokenizer, [text if text.endswith(eos) else text + eos], template_kwargs)[0])
        else:
            answer = completion if isinstance(completion, list) else [{"role": "assistant", "content": completion}]
            messages = joined(prompt, answer)
            tools = tools_of(messages)
            texts.append(tokenizer.apply_chat_template(messages, tokenize=False, **tools, **template_kwargs))
    found = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return found, min((_shared(alone, whole) for whole in found), default=len(alone))


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Tokens that both begin with."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def prefill(tokenizer: Any, dialogue: Dialogue, template_kwargs: dict[str, Any], tags: Sequence[str]) -> str:
    """What the generation prompt writes of the answer already, from the first of the tags on: ``<think>`` and a line
    end; empty of plain text, and where it only opens the assistant's turn."""
    if isinstance(dialogue, str):
        return ""
    closed = tokenizer.apply_chat_template(dialogue, add_generation_prompt=False, tokenize=False, **template_kwargs)
    opened = rendered(tokenizer, [dialogue], template_kwargs)[0]
    tail = opened.removeprefix(closed)
    return tail[min((tail.index(tag) for tag in tags if tag in tail), default=len(tail)) :]


def prefill_of(run: Run, tokenizer: Any, inputs: Inputs, rows: Any) -> str:
    """That of a run, by the first of its rows."""
    tags = looked_for(run, inputs.rewards.values())
    return prefill(tokenizer, rows[0]["prompt"], run.chat_template_kwargs, tags) if len(rows) else ""
