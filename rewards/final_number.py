"""The last number of the completion is the right answer: for models that answer in plain words and write no tags.

Only one number counts, the last, so that listing candidates is one guess like any other, and whoever goes on talking
about other numbers has answered with those. The right answer is a number with its unit at most, or what stands behind
the #### of a solution as in GSM8K; to a row that wants more than a number the term does not apply. Where it has a unit,
a unit of measure behind the last number must be that one; no other words are looked at.
"""

import re
from fractions import Fraction
from typing import Any

from rlexp.reward.mathematics.beside import MONEY, unit_behind

version = 2
bounds = (0.0, 1.0)
ignores = ("case", "place")

DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
# A number stands alone, not within a word or behind a point; a minus is its sign unless something stands right before.
NUMBER = re.compile(rf"((?<![\w.)\]])[-−])?(?<![\w.])({DIGITS})(?: ?/ ?(\d+))?(?!\w)", re.ASCII)
# 12, -3.50, $1,234.50, 3/4, 50\\%, 90^\\circ, 12 km, 25 \\text{ ft}, 12 square units.
WANTED = re.compile(
    rf"(-|\+)? ?(?:\\?([$€£]))?(-)?({DIGITS}|\.\d+)(?: ?/ ?(\d+))?"
    r"( ?\\?%| ?\^\{?\\circ\}?| ?°[CF]?"
    r"|(?: ?\\text\{ ?| |(?=[^\W\d_]{2}))[^\W\d_]+(?:[ /][^\W\d_]+){0,3} ?\}?(?:\^\{?[23]\}?)?)?\.?"
)
NO_UNITS = {
    "hundred",
    "thousand",
    "million",
    "billion",
    "trillion",
    "k",
    "dozen",
    "half",
    "squared",
    "cubed",
    "or",
    "and",
    "pi",
    "sqrt",
}
"""Words that make another number of it, or several."""
MOST_SIGNS = 40
"""A longer number is nobody's answer."""
MOST_NUMBERS = 20
"""A completion of more numbers lists them; it answers nothing."""


def score(completions: list[str], answer: list[Any]) -> list[float | None]:
    """1.0 a completion whose last number equals ``answer``, else 0.0; None where the answer is no number, or more."""
    return [_score(completion, gold) for completion, gold in zip(completions, answer, strict=True)]


def _score(completion: str, answer: Any) -> float | None:
    wanted = _wanted(str(answer).rpartition("####")[2])
    if wanted is None:
        return None
    value, unit = wanted
    given, said = _last(completion)
    return float(given == value and (not unit or said in ("", unit)))


def _wanted(text: str) -> tuple[Fraction, str] | None:
    """The number of an answer that is one, and its unit, which may be empty; None of any other."""
    plain = " ".join(text.replace("−", "-").replace("{,}", ",").replace(",\\!", ",").split())
    while plain.startswith(("$", "\\boxed{")) and plain.endswith(("$", "}")) and len(plain) > 2:
        plain = plain[1:-1] if plain.startswith("$") else plain[len("\\boxed{") : -1]
    read = WANTED.fullmatch(plain)
    if not read or len(plain) > MOST_SIGNS or NO_UNITS.intersection(re.findall(r"[a-z]+", plain.casefold())):
        return None
    sign, money, inner, above, below, behind = read.groups()
    if below and not int(below):
        return None
    value = Fraction(above.replace(",", "")) / int(below or 1)
    unit = MONEY[money] if money else unit_behind(behind or "")
    return (-value if "-" in (sign, inner) else value), unit


def _last(text: str) -> tuple[Fraction | None, str]:
    """The last number of the text, exactly, and the unit behind it; None where there is none that can be read."""
    found = list(NUMBER.finditer(text))
    if not 0 < len(found) <= MOST_NUMBERS or len(found[-1][0]) > MOST_SIGNS:
        return None, ""
    sign, above, below = found[-1].groups()
    if below and not int(below):
        return None, ""
    value = Fraction(above.replace(",", "")) / int(below or 1)
    return (-value if sign else value), unit_behind(text[found[-1].end() :], only_known=True)


def explain(completion: str, answer: Any) -> str:
    """What the completion answered instead."""
    if _score(completion, answer) != 0.0:
        return ""
    given, unit = _last(completion)
    return "no number" if given is None else f"the last number is {f'{given} {unit}'.strip()}, wanted {answer}"


cases = [
    {"completion": "2 + 2 = 4", "answer": "4", "score": 1.0},
    {"completion": "The answer is 4.", "answer": "4", "score": 1.0},  # a full stop is no decimal point
    {"completion": "<think>2 + 2 = 4</think><answer>4</answer>", "answer": "4", "score": 1.0},  # tags do no harm
    {"completion": "28 - 77 = -49", "answer": "-49", "score": 1.0},
    {"completion": "28 - 77 = −49", "answer": "-49", "score": 1.0},  # the minus sign of typesetters
    {"completion": "28 - 77 = 49", "answer": "-49", "score": 0.0},
    {"completion": "that is 9-4", "answer": "4", "score": 1.0},  # subtraction, no sign
    {"completion": "$\\boxed{1,234.0}$", "answer": "1234", "score": 1.0},  # the same number
    {"completion": "It is 3/4", "answer": "0.75", "score": 1.0},
    {"completion": "It is 3/4", "answer": "4", "score": 0.0},  # a fraction is one number
    {"completion": "2 + 2 = 4. But 2 + 3 = 5", "answer": "4", "score": 0.0},  # it went on talking
    {"completion": "1 2 3 4 5 6 7 8 9", "answer": "4", "score": 0.0},  # cheat: every answer listed
    {"completion": " ".join(map(str, range(21))), "answer": "20", "score": 0.0},  # cheat: listed up to the right one
    {"completion": "What is 2 + 2?", "answer": "4", "score": 0.0},  # cheat: the question again
    {"completion": "4 or 5", "answer": "4", "score": 0.0},
    {"completion": "14", "answer": "4", "score": 0.0},
    {"completion": "0.4", "answer": "4", "score": 0.0},
    {"completion": "x4", "answer": "4", "score": 0.0},  # part of a word
    {"completion": "four", "answer": "4", "score": 0.0},
    {"completion": "1/0", "answer": "4", "score": 0.0},
    {"completion": "4" * 5000, "answer": "4", "score": 0.0},
    {"completion": "", "answer": "4", "score": 0.0},
    {"completion": "Paris", "answer": "Paris", "score": None},  # no number is asked for
    {"completion": "It is 12", "answer": "12 km", "score": 1.0},
    {"completion": "It is 12 kilometers long", "answer": "12 km", "score": 1.0},
    {"completion": "It is 12 m", "answer": "12 km", "score": 0.0},  # another unit
    {"completion": "It is 12 m", "answer": "12", "score": 1.0},  # a unit that the right answer leaves out
    {"completion": "It is 12 in total", "answer": "12 km", "score": 1.0},  # no inches
    {"completion": "It is 12", "answer": "$12.00", "score": 1.0},
    {"completion": "It is 64", "answer": "18+46=<<18+46=64>>64\n#### 64", "score": 1.0},  # the column of GSM8K
    {"completion": "It is 46", "answer": "18+46=<<18+46=64>>64\n#### 64", "score": 0.0},
    {"completion": "It is 3", "answer": "2\\sqrt{3}", "score": None},  # more than a number is asked for
    {"completion": "It is 2", "answer": "1, 2", "score": None},
    {"completion": "It is 4", "answer": "\\frac{3}{4}", "score": None},
    {"completion": "It is 2", "answer": "x = 2", "score": None},
    {"completion": "It is 4", "answer": "4 million", "score": None},
    {"completion": "It is 64", "answer": "Adding, $18+46=\\boxed{64}$.", "score": None},
    {"completion": "It is 4", "answer": None, "score": None},
    {"completion": "It is 4", "answer": float("nan"), "score": None},
]
