"""Think first, answer last: the tags, in order, once each.

Half of the score is the share of tags that occur exactly once, so that a model that is far from the format still
feels a slope; the other half is the whole structure. What the generation prompt of the chat template holds already
(<think>) counts as written. After the format reward of DeepSeek-R1 (https://huggingface.co/papers/2501.12948).
"""

import re

version = 2
bounds = (0.0, 1.0)

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
STRUCTURE = re.compile(r"\s*<think>.*?</think>\s*<answer>.*?</answer>\s*", re.DOTALL)


def score(completions: list[str], prefills: list[str] | None = None) -> list[float]:
    """One score in [0, 1] a completion: 0.5 x share of the tags that occur once + 0.5 if the structure holds."""
    begun = prefills or [""] * len(completions)
    return [_score(prefill + completion) for prefill, completion in zip(begun, completions, strict=True)]


def _score(completion: str) -> float:
    once = [completion.count(tag) == 1 for tag in TAGS]
    structured = all(once) and STRUCTURE.fullmatch(completion) is not None
    return 0.5 * sum(once) / len(TAGS) + 0.5 * structured


def explain(completion: str, prefills: str = "") -> str:
    """What is wrong with the tags."""
    completion = prefills + completion
    counts = {tag: completion.count(tag) for tag in TAGS}
    if not any(counts.values()):
        return "none of the tags"
    wrong = [f"{tag} {count} times" if count else f"no {tag}" for tag, count in counts.items() if count != 1]
    if wrong or STRUCTURE.fullmatch(completion):
        return ", ".join(wrong)
    front, _, rest = completion.partition("<think>")
    between, _, answer = rest.partition("</think>")[2].partition("<answer>")
    behind = answer.partition("</answer>")[2]
    if list(TAGS) != sorted(TAGS, key=completion.index):
        return "the tags are not in order"
    parts = {"in front of <think>": front, "between </think> and <answer>": between, "behind </answer>": behind}
    return ", ".join(f"text {place}" for place, text in parts.items() if text.strip())


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
    {"completion": "2 + 2 = 4</think><answer>4</answer>", "score": 0.375},
    {"completion": "2 + 2 = 4</think><answer>4</answer>", "prefills": "<think>\n", "score": 1.0},  # the prompt holds it
    {"completion": "<think>2 + 2</think><answer>4</answer>", "prefills": "<think>\n", "score": 0.375},  # a second one
    {"completion": "<answer>4</answer>", "prefills": "<think>\n\n</think>\n\n", "score": 1.0},  # thinking switched off
]
