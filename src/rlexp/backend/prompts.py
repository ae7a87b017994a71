"""Renders a dialogue into the text, and the tokens, that the model reads: the one place where prompts are rendered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Messages = list[dict[str, Any]]
"""A conversation: ``{"role": ..., "content": ...}``, one message after the other."""
Dialogue = str | Messages
"""Plain text, or messages that end before the model speaks; one turn or several."""


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
                dialogue, add_generation_prompt=True, tokenize=False, **template_kwargs
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
