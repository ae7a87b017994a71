"""Preference pairs for timing: digits at random, every one a token, so that all pairs have the same length.

Copied into the benchmark's project as data_prep/digit_pairs.py.
"""

from __future__ import annotations

import random


def rows(train: int, test: int, prompt: int, tokens: int, seed: int = 0) -> dict[str, list[dict]]:
    """Rows of ``prompt``, ``chosen`` and ``rejected`` (messages).

    Args:
        train, test: pairs of each split.
        prompt: tokens of a prompt; the chat template adds its own.
        tokens: tokens of each of the two answers, likewise.
    """
    generator = random.Random(seed)

    def message(role: str, length: int) -> list[dict]:
        return [{"role": role, "content": "".join(generator.choices("0123456789", k=length))}]

    def row() -> dict:
        return {
            "prompt": message("user", prompt),
            "chosen": message("assistant", tokens),
            "rejected": message("assistant", tokens),
        }

    return {"train": [row() for _ in range(train)], "test": [row() for _ in range(test)]}
