"""Sums of two whole numbers, one question a row, with the right answer beside it.

Every arithmetic data set draws its pairs the same way, and its test rows first: with the same ``seed``, ``test``,
``low`` and ``high`` they all hold out the same pairs, and the test rows stay what they are when ``train`` grows. The
drawing is repeated in each script on purpose: a script's hash stands for the whole of what made its rows.
"""

from __future__ import annotations

import random

from rlexp.errors import RunError


def rows(train: int = 2000, test: int = 200, seed: int = 0, low: int = 0, high: int = 99) -> dict[str, list[dict]]:
    """Prompt-only rows: ``prompt`` (one user message), ``answer`` (the sum as text), ``a`` and ``b``.

    Args:
        train: rows to train on.
        test: rows held out; none of their pairs is among the training rows.
        low, high: the smallest and the largest number added, both included.

    Raises:
        RunError: more rows than there are pairs, or a split without rows.
    """
    drawn = [_row(a, b) for a, b in _pairs(train, test, seed, low, high)]
    return {"train": drawn[test:], "test": drawn[:test]}


def _row(a: int, b: int) -> dict:
    prompt = [{"role": "user", "content": f"What is {a} + {b}?"}]
    return {"prompt": prompt, "answer": str(a + b), "a": a, "b": b}


def _pairs(train: int, test: int, seed: int, low: int, high: int) -> list[tuple[int, int]]:
    """Distinct ordered pairs; the first ``test`` of them do not depend on ``train``."""
    span = high - low + 1
    if train < 1 or test < 1 or span < 1 or train + test > span**2:
        raise RunError(
            f"{train} training and {test} test rows cannot be drawn from {max(span, 0) ** 2} pairs of numbers",
            where=f"data_prep/arithmetic.py: train={train} test={test} low={low} high={high}",
            hint="ask for at least one row a split, and for fewer rows or a wider low..high",
        )
    generator = random.Random(seed)
    picked: dict[int, None] = {}
    while len(picked) < train + test:
        picked[generator.randrange(span**2)] = None
    return [(low + pick // span, low + pick % span) for pick in picked]
