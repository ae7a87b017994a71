"""The answer tag holds the row's answer, to the letter."""

import re

version = 1
bounds = (0.0, 1.0)

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def score(completions: list[str], answer: list[str]) -> list[float | None]:
    """1 where the one answer tag of a completion holds the row's ``answer``, else 0; None for a row without one."""
    return [
        None if gold is None else float(_answer(text) == gold) for text, gold in zip(completions, answer, strict=True)
    ]


def _answer(completion: str) -> str | None:
    found = ANSWER.findall(completion)
    return found[0].strip() if len(found) == 1 else None


cases = [
    {"completion": "<answer>4</answer>", "answer": "4", "score": 1.0},
    {"completion": "It is <answer> 4 </answer>.", "answer": "4", "score": 1.0},
    {"completion": "<answer>5</answer>", "answer": "4", "score": 0.0},
    {"completion": "4", "answer": "4", "score": 0.0},
    {"completion": "<answer>4</answer><answer>5</answer>", "answer": "4", "score": 0.0},
    {"completion": "<answer>4</answer>", "answer": None, "score": None},
]
