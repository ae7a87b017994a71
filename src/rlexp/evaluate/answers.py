"""The answer of a completion, as a text that votes: two completions of one prompt that answer alike have the same."""

from __future__ import annotations

import re

TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")


def answer_of(completion: str) -> str:
    """What stands in the last answer tag, else in the last ``\\boxed{}``, else the last number; of anything else the
    whole completion. White space and thousands marks make no difference."""
    if tags := TAG.findall(completion):
        return _plain(tags[-1])
    if (at := completion.rfind("\\boxed{")) >= 0:
        return _plain(_braced(completion[at + len("\\boxed{") :]))
    if numbers := NUMBER.findall(completion):
        return _plain(numbers[-1])
    return _plain(completion)


def _braced(text: str) -> str:
    """The text up to the brace that closes it."""
    depth = 1
    for place, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            return text[:place]
    return text


def _plain(text: str) -> str:
    joined = re.sub(r"(?<=\d),(?=\d{3}\b)", "", re.sub(r"\s+", "", text))
    return joined.removesuffix(".0").rstrip(".").lower()
