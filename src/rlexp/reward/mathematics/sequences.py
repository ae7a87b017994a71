"""Numbers in an order that no sign of arithmetic stands between: dates, ranges, scores, phone numbers, clock times."""

from __future__ import annotations

import re

from rlexp.reward.mathematics.spelling import spelled

IN_TEXT = re.compile(r"\\text *\{([^{}]*)\}")
SEQUENCE = re.compile(r"\d+(?: ?- ?\d+)+|\d+(?: ?/ ?\d+){2,}|\d{1,2}(?: ?: ?\d{2}){1,2}", re.ASCII)
"""2023-02-01, 1990-1995, 1/4/2011, 10:20; never 3/4, and 1:2 is a ratio."""
MOST_SIGNS = 60


def sequence(text: str) -> tuple[str, ...] | None:
    """What stands between the numbers, and the numbers in their order; None of any other text.

    Of two numbers with a dash, and behind the hour of a clock, leading zeros count: 555-0100 is not 555-100.
    """
    if len(text) > MOST_SIGNS:
        return None
    plain = IN_TEXT.sub(r"\1", spelled(text)).strip()
    if not SEQUENCE.fullmatch(plain):
        return None
    sign = next(sign for sign in ":/-" if sign in plain)
    numbers = [number.strip() for number in plain.split(sign)]
    if sign == ":":
        numbers[0] = _without_zeros(numbers[0])
    elif len(numbers) > 2:
        numbers = list(map(_without_zeros, numbers))
    return (sign, *numbers)


def _without_zeros(number: str) -> str:
    return number.lstrip("0") or "0"
