"""Think first, answer last: the tags, in order, once each.

Half of the score is the share of tags that occur exactly once, so that a model that is far from the format still
feels a slope; the other half is the whole structure. After the format reward of DeepSeek-R1
(https://huggingface.co/papers/2501.12948).
"""

import re

version = 1
bounds = (0.0, 1.0)

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
STRUCTURE = re.compile(r"\s*<think>.*?</think>\s*<answer>.*?</answer>\s*", re.DOTALL)


def score(completions: list[str]) -> list[float]:
    """One score in [0, 1] a completion: 0.5 x share of the tags that occur once + 0.5 if the structure holds."""
    return [_score(completion) for completion in completions]


def _score(completion: str) -> float:
    once = [completion.count(tag) == 1 for tag in TAGS]
    structured = all(once) and STRUCTURE.fullmatch(completion) is not None
    return 0.5 * sum(once) / len(TAGS) + 0.5 * structured


cases = [
    {"completion": "<think>2 + 2 = 4</think><answer>4</answer>", "score": 1.0},
    {"completion": "<think>carry\nthe one</think>\n<answer>4</answer>\n", "score": 1.0},  # newlines may stand between
    {"completion": "", "score": 0.0},
    {"completion": "4", "score": 0.0},
    {"completion": "<think>2 + 2 = 4</think><answer>4", "score": 0.375},  # three of four tags
    {"completion": "<answer>4</answer><think>2 + 2 = 4</think>", "score": 0.5},  # the wrong order
    {"completion": "<think></think><answer>4</answer> and more", "score": 0.5},  # text behind the answer
    {"completion": "<think></think><answer>4</answer>" * 5, "score": 0.0},  # cheat: tag spam
    {"completion": "<think><answer></think></answer>", "score": 0.5},  # tags inside one another
]
