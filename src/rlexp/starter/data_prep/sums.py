"""Sums of two whole numbers."""

import itertools
import random


def rows(train: int = 1000, test: int = 100, seed: int = 0, largest: int = 49) -> dict[str, list[dict]]:
    """Rows of ``prompt``, ``answer``, ``a`` and ``b``: no pair of the test rows is among the training rows.

    Args:
        train: rows to train on.
        test: rows held out.
        largest: the largest number that is added.
    """
    pairs = list(itertools.product(range(largest + 1), repeat=2))
    random.Random(seed).shuffle(pairs)
    every = [_row(a, b) for a, b in pairs[: train + test]]
    return {"train": every[test:], "test": every[:test]}


def _row(a: int, b: int) -> dict:
    prompt = [{"role": "user", "content": f"What is {a} + {b}?"}]
    return {"prompt": prompt, "answer": str(a + b), "a": a, "b": b}
