"""Pairs of answers to sums: the right sum in the right format against one of four kinds of failure, in equal shares.

The pairs of numbers are drawn as in ``arithmetic.py``, so that both hold out the same questions.
"""

from __future__ import annotations

import random

from rlexp.errors import RunError

FLAWS = ("wrong_sum", "no_tags", "unclosed_answer", "answer_before_think")


def rows(train: int = 2000, test: int = 200, seed: int = 0, low: int = 0, high: int = 99) -> dict[str, list[dict]]:
    """Preference rows: ``prompt``, ``chosen``, ``rejected`` (messages), ``answer`` (the sum as text) and ``flaw``.

    Args:
        train: pairs to train on.
        test: pairs held out; none of their questions is among the training rows.
        low, high: the smallest and the largest number added, both included.

    Raises:
        RunError: more rows than there are pairs of numbers, or a split without rows.
    """
    drawn = _pairs(train, test, seed, low, high)
    splits = {"train": drawn[test:], "test": drawn[:test]}
    return {
        split: [_row(a, b, FLAWS[number % len(FLAWS)], seed) for number, (a, b) in enumerate(pairs)]
        for split, pairs in splits.items()
    }


def _row(a: int, b: int, flaw: str, seed: int) -> dict:
    return {
        "prompt": [{"role": "user", "content": f"What is {a} + {b}?"}],
        "chosen": [{"role": "assistant", "content": f"<think>{a} + {b} = {a + b}</think><answer>{a + b}</answer>"}],
        "rejected": [{"role": "assistant", "content": _flawed(a, b, flaw, seed)}],
        "answer": str(a + b),
        "flaw": flaw,
    }


def _flawed(a: int, b: int, flaw: str, seed: int) -> str:
    total = a + b
    if flaw == "no_tags":
        return f"The answer is {total}."
    if flaw == "unclosed_answer":
        return f"<think>{a} + {b} = {total}</think><answer>{total}"
    if flaw == "answer_before_think":
        return f"<answer>{total}</answer><think>{a} + {b} = {total}</think>"
    # Off by one and off by a carry are the slips a model makes; a wild guess would be too easy to tell apart.
    wrong = total + random.Random(f"{seed}:{a}:{b}").choice((-10, -2, -1, 1, 2, 10))
    return f"<think>{a} + {b} = {wrong}</think><answer>{wrong}</answer>"


def _pairs(train: int, test: int, seed: int, low: int, high: int) -> list[tuple[int, int]]:
    """Distinct ordered pairs; the first ``test`` of them do not depend on ``train``."""
    span = high - low + 1
    if train < 1 or test < 1 or span < 1 or train + test > span**2:
        raise RunError(
            f"{train} training and {test} test rows cannot be drawn from {max(span, 0) ** 2} pairs of numbers",
            where=f"data_prep/arithmetic_preferences.py: train={train} test={test} low={low} high={high}",
            hint="ask for at least one row a split, and for fewer rows or a wider low..high",
        )
    generator = random.Random(seed)
    picked: dict[int, None] = {}
    while len(picked) < train + test:
        picked[generator.randrange(span**2)] = None
    return [(low + pick // span, low + pick % span) for pick in picked]
