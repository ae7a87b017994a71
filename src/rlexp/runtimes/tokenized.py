"""What the runtimes that read transformers' tokenizer have in common: the text of a dialogue, its ids, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlexp.runtimes.protocol import Messages


class Tokenized:
    """The half of a ``Runtime`` that a tokenizer of transformers answers.

    Args:
        template_kwargs: what is handed to the chat template.
    """

    def __init__(self, tokenizer: Any, template_kwargs: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._kwargs = template_kwargs

    def render(self, dialogues: Sequence[Messages]) -> list[str]:
        return [
            self._tokenizer.apply_chat_template(one, add_generation_prompt=True, tokenize=False, **self._kwargs)
            for one in dialogues
        ]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True)
