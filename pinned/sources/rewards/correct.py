"""The one answer tag holds the right answer.

Compared as text, then as a number, then as mathematics with math-verify
(https://github.com/huggingface/Math-Verify). An answer anywhere else, or several answer tags, scores nothing.
"""

import re
from fractions import Fraction

version = 1

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def score(completions: list[str], answer: list[str]) -> list[float]:
    """1.0 a completion whose only answer tag holds ``answer``, else 0.0."""
    return [_score(completion, str(gold)) for completion, gold in zip(completions, answer, strict=True)]


def _score(completion: str, gold: str) -> float:
    found = ANSWER.findall(completion)
    if len(found) != 1 or completion.count("<answer>") != 1:
        return 0.0
    given, gold = found[0].strip(), gold.strip()
    if given.casefold() == gold.casefold():
        return 1.0
    numbers = _number(given), _number(gold)
    if None not in numbers:
        return float(numbers[0] == numbers[1])
    return float(_mathematics_agrees(given, gold))


def _number(text: str) -> Fraction | None:
    """An exact number: 72, -3.50, 1,234, $5, 3/4."""
    try:
        return Fraction(text.replace(",", "").replace("$", "").removesuffix("."))
    except (ValueError, ZeroDivisionError):
        return None


def _mathematics_agrees(given: str, gold: str) -> bool:
    # Only what looks like mathematics: math-verify costs milliseconds, and reads numbers into plain words.
    if not any(sign in gold for sign in "\\^{}=()√π"):
        return False
    from math_verify import parse, verify

    return bool(verify(parse(f"${gold}$"), parse(f"${given}$")))


cases = [
    {"completion": "<think>2 + 2 = 4</think><answer>4</answer>", "answer": "4", "score": 1.0},
    {"completion": "<answer> 4 </answer>", "answer": "4", "score": 1.0},  # blanks do not matter
    {"completion": "<answer>1,234.0</answer>", "answer": "1234", "score": 1.0},  # the same number
    {"completion": "<answer>3/4</answer>", "answer": "0.75", "score": 1.0},
    {"completion": "<answer>b</answer>", "answer": "B", "score": 1.0},  # a choice letter
    {"completion": "<answer>(x+1)^2</answer>", "answer": "x^2+2x+1", "score": 1.0},  # the same mathematics
    {"completion": "<answer>5</answer>", "answer": "4", "score": 0.0},
    {"completion": "The answer is 4.", "answer": "4", "score": 0.0},  # the right number in the wrong place
    {"completion": "<think>4</think><answer></answer>", "answer": "4", "score": 0.0},
    {"completion": "<answer>4</answer><answer>5</answer>", "answer": "4", "score": 0.0},  # cheat: several answers
    {"completion": "<answer>3 4 5</answer>", "answer": "4", "score": 0.0},  # cheat: every answer listed
    {"completion": "<answer>4", "answer": "4", "score": 0.0},
    {"completion": "", "answer": "4", "score": 0.0},
]
