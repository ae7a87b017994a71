"""What is no answer, by rule: characters that stand for nothing, and a text that goes round in a loop."""

from __future__ import annotations

from collections.abc import Sequence

REPLACEMENT = "�"
LONGEST, TIMES, LEAST = 32, 4, 24
"""A loop: the answer ends with the same 1 to LONGEST tokens TIMES times in a row or more, LEAST tokens in all."""
RULES = {
    "replacement": "it holds U+FFFD, which stands for bytes that are no text; not as the last of an answer that the "
    "limit cut, perhaps within a character",
    "loop": f"it ends with the same 1 to {LONGEST} tokens {TIMES} times or more, {LEAST} tokens in all",
}
"""Rule -> what it says."""


def garbage(text: str, ids: Sequence[int], ended: bool) -> str | None:
    """The rule that says that an answer is none; None of one that may be.

    Args:
        ids: its tokens, with the one that ended it.
        ended: the model ended it.
    """
    if REPLACEMENT in (text if ended else text.removesuffix(REPLACEMENT)):
        return "replacement"
    return "loop" if loops(ids[:-1] if ended else ids) else None


def loops(ids: Sequence[int]) -> bool:
    """Whether tokens end with one n-gram again and again."""
    for n in range(1, LONGEST + 1):
        wanted = max(TIMES * n, -(-LEAST // n) * n)
        tail = list(ids[-wanted:])
        if len(tail) == wanted and tail == tail[-n:] * (wanted // n):
            return True
    return False
