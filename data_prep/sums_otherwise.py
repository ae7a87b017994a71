"""Sums asked in other words and layouts than ``arithmetic.py`` asks them: what a model of sums was not trained on.

The pairs of numbers are drawn as in ``arithmetic.py``, so that both hold out the same sums. The layouts are those of
which models/tiny, which read one wording only, has some right; it has none of three numbers, of differences, of numbers
above 49, and next to none of ``6 plus 7``, ``Add 6 and 7.`` or a sum without blanks: there nothing could be forgotten.
"""

from __future__ import annotations

import random

from rlexp.errors import RunError

LAYOUTS = {
    "and": "What is {a} and {b}?",
    "line": "What is\n{a} + {b}?",
    "zeros": "What is {a:02d} + {b:02d}?",
    "sum_of": "What is the sum of {a} and {b}?",
    "how_many": "How many are {a} + {b}?",
    "capitals": "WHAT IS {a} + {b}?",
}


def rows(train: int = 2000, test: int = 200, seed: int = 0, low: int = 0, high: int = 99) -> dict[str, list[dict]]:
    """Prompt-only rows: ``prompt`` (one user message), ``answer`` (the sum as text), ``layout``, ``a`` and ``b``.

    Args:
        train: rows for whoever trains on them.
        test: rows held out; none of their pairs is among the training rows.
        low, high: the smallest and the largest number added, both included.

    Raises:
        RunError: more rows than there are pairs, or a split without rows.
    """
    names = list(LAYOUTS)
    drawn = [_row(a, b, names[n % len(names)]) for n, (a, b) in enumerate(_pairs(train, test, seed, low, high))]
    return {"train": drawn[test:], "test": drawn[:test]}


def _row(a: int, b: int, layout: str) -> dict:
    prompt = [{"role": "user", "content": LAYOUTS[layout].format(a=a, b=b)}]
    return {"prompt": prompt, "answer": str(a + b), "layout": layout, "a": a, "b": b}


def _pairs(train: int, test: int, seed: int, low: int, high: int) -> list[tuple[int, int]]:
    """Distinct ordered pairs; the first ``test`` of them do not depend on ``train``."""
    span = high - low + 1
    if train < 1 or test < 1 or span < 1 or train + test > span**2:
        raise RunError(
            f"{train} training and {test} test rows cannot be drawn from {max(span, 0) ** 2} pairs of numbers",
            where=f"data_prep/sums_otherwise.py: train={train} test={test} low={low} high={high}",
            hint="ask for at least one row a split, and for fewer rows or a wider low..high",
        )
    generator = random.Random(seed)
    picked: dict[int, None] = {}
    while len(picked) < train + test:
        picked[generator.randrange(span**2)] = None
    return [(low + pick // span, low + pick % span) for pick in picked]
