"""The one answer tag, outside of the thinking, holds the right answer.

Compared as text, then as a number (with or without its unit), then as mathematics with math-verify
(https://github.com/huggingface/Math-Verify). An answer anywhere else, or several answers, scores nothing.
"""

import re
from fractions import Fraction

version = 2
bounds = (0.0, 1.0)
ignores = ("case",)

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
WRAPPED = re.compile(r"\\boxed\{(.*)\}|\\text\{(.*)\}|\\\((.*)\\\)|\\\[(.*)\\\]|\$(.*)\$|\*\*(.*)\*\*|\((\w)\)|(\w)\)")
DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
# A name ("x ="), a sign, a number or fraction, an exponent, a unit of one word.
NUMBER = re.compile(
    rf"(?:[A-Za-z] ?= ?)?([+-]?)\$?({DIGITS}(?:\.\d*)?|\.\d+)(?: ?/ ?({DIGITS}))?"
    r"(?:[eE]([+-]?\d\d?))? ?([^\W\d_]+|%|°C?)?"
)
SPELLINGS = {"−": "-", "{,}": ",", "\\%": "%", "\\$": "$"}
LATEX_FRACTION = re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}")
OTHER_NUMBERS = {"hundred", "thousand", "million", "billion", "trillion", "k", "dozen", "half", "squared", "cubed"}
"""Words that are no unit: with them it is another number."""
MOST_SIGNS = 300
"""Longer answers are not tried as mathematics."""


def score(completions: list[str], answer: list[str]) -> list[float | None]:
    """1.0 a completion whose only answer tag holds ``answer``, else 0.0; None where the row has no answer."""
    return [_score(completion, str(gold)) for completion, gold in zip(completions, answer, strict=True)]


def _score(completion: str, gold: str) -> float | None:
    gold = _plain(gold)
    if not gold:
        return None
    found = ANSWER.findall(_outside_of_thinking(completion))
    if len(found) != 1 or completion.count("<answer>") != 1:
        return 0.0
    given = _plain(found[0])
    if given.casefold() == gold.casefold():
        return 1.0
    number, gold_number = _number(given), _number(gold)
    if number and gold_number:
        return float(_same_number(number, gold_number))
    return float(_mathematics_agrees(given, gold))


def _outside_of_thinking(completion: str) -> str:
    """What stands before <think> and behind </think>; a chat template may have opened the thinking already.

    Thinking that never ends is the format's business: nothing is hidden there.
    """
    thought, closed, said = completion.rpartition("</think>")
    if not closed:
        return completion
    return (thought.partition("<think>")[0] if "<think>" in thought else "") + said


def _plain(text: str) -> str:
    """Without what surrounds an answer: blanks, a full stop, \\boxed{}, dollar signs, (B)."""
    for written, meant in SPELLINGS.items():
        text = text.replace(written, meant)
    text = " ".join(text.split()).removesuffix(".")
    while wrapped := WRAPPED.fullmatch(text):
        text = next(filter(None, wrapped.groups()), "").strip().removesuffix(".")
    return text


def _number(text: str) -> tuple[Fraction, str] | None:
    """An exact number and its unit: 72, -3.50, 1,234, $5, 3/4, \\frac{3}{4}, 2e3, 50%, 12 km, x = 4."""
    read = NUMBER.fullmatch(LATEX_FRACTION.sub(r"\1/\2", text))
    if not read or len(text) > MOST_SIGNS or (read[5] or "").casefold() in OTHER_NUMBERS:
        return None
    sign, above, below, power, unit = read.groups()
    divisor = int(below.replace(",", "")) if below else 1
    if not divisor:
        return None
    value = Fraction(above.replace(",", "")) / divisor * Fraction(10) ** int(power or 0)
    return -value if sign == "-" else value, (unit or "").casefold()


def _same_number(given: tuple[Fraction, str], gold: tuple[Fraction, str]) -> bool:
    (a, unit), (b, other) = given, gold
    if unit == other:
        return a == b
    # One may leave its unit out. A bare number beside a percentage is meant in per cent, or is the share itself.
    hundredths = {"%": 100}
    return "" in (unit, other) and (a == b or a / hundredths.get(unit, 1) == b / hundredths.get(other, 1))


def _mathematics_agrees(given: str, gold: str) -> bool:
    # Only what looks like mathematics: math-verify costs milliseconds, and reads numbers into plain words. Of a chain
    # x = 1 = 2 it takes the last part, so that a chain would be several answers.
    if not any(sign in gold for sign in "\\^{}=()√π") or len(given) > MOST_SIGNS or given.count("=") > 1:
        return False
    from math_verify import parse, verify

    return bool(verify(parse(f"${gold}$"), parse(f"${given}$")))


def explain(completion: str, answer: str) -> str:
    """Why a completion has no answer, or what it answered instead."""
    if _score(completion, str(answer)) != 0.0:
        return ""
    tags, found = completion.count("<answer>"), ANSWER.findall(_outside_of_thinking(completion))
    if tags != 1:
        return f"{tags} <answer> tags" if tags else "no <answer> tag"
    if not found:
        return "the <answer> is in the thinking" if ANSWER.search(completion) else "the <answer> tag is never closed"
    return f"the answer is {_plain(found[0]) or 'empty'}, wanted {_plain(str(answer))}"


cases = [
    {"completion": "<think>2 + 2 = 4</think><answer>4</answer>", "answer": "4", "score": 1.0},
    {"completion": "<answer> 4.\n</answer>", "answer": "4", "score": 1.0},  # blanks and a full stop do not matter
    {"completion": "<answer>1,234.0</answer>", "answer": "1234", "score": 1.0},  # the same number
    {"completion": "<answer>1,5</answer>", "answer": "15", "score": 0.0},  # no thousands
    {"completion": "<answer>−4</answer>", "answer": "-4", "score": 1.0},  # the minus sign of typesetters
    {"completion": "<answer>3/4</answer>", "answer": "0.75", "score": 1.0},
    {"completion": "<answer>-\\frac{3}{4}</answer>", "answer": "-0.75", "score": 1.0},
    {"completion": "<answer>$\\boxed{4}$</answer>", "answer": "4", "score": 1.0},  # wrapped twice
    {"completion": "<answer>x = 4</answer>", "answer": "4", "score": 1.0},
    {"completion": "<answer>12 km</answer>", "answer": "12", "score": 1.0},  # a unit that the gold answer leaves out
    {"completion": "<answer>12 km</answer>", "answer": "12 m", "score": 0.0},  # another unit
    {"completion": "<answer>4 million</answer>", "answer": "4", "score": 0.0},  # another number
    {"completion": "<answer>50%</answer>", "answer": "50", "score": 1.0},  # asked in per cent
    {"completion": "<answer>50\\%</answer>", "answer": "0.5", "score": 1.0},  # asked as a share
    {"completion": "<answer>0.5%</answer>", "answer": "50%", "score": 0.0},
    {"completion": "<answer>b</answer>", "answer": "B", "score": 1.0},  # a choice letter
    {"completion": "<answer>(B)</answer>", "answer": "B", "score": 1.0},
    {"completion": "<answer>Paris.</answer>", "answer": "paris", "score": 1.0},
    {"completion": "<answer>(x+1)^2</answer>", "answer": "x^2+2x+1", "score": 1.0},  # the same mathematics
    {"completion": "reasoned</think><answer>4</answer>", "answer": "4", "score": 1.0},  # the template opened <think>
    {"completion": "<answer>5</answer>", "answer": "4", "score": 0.0},
    {"completion": "The answer is 4.", "answer": "4", "score": 0.0},  # the right number in the wrong place
    {"completion": "<think>4</think><answer></answer>", "answer": "4", "score": 0.0},
    {"completion": "<think><answer>4</answer></think>5", "answer": "4", "score": 0.0},  # in the thinking only
    {"completion": "<think>2 + 2<answer>4</answer>", "answer": "4", "score": 1.0},  # a lost tag: see format
    {"completion": "<answer>4</answer></think>5", "answer": "4", "score": 0.0},  # in thinking begun by the template
    {"completion": "<answer>4</answer><answer>5</answer>", "answer": "4", "score": 0.0},  # cheat: several answers
    {"completion": "<answer>3 4 5</answer>", "answer": "4", "score": 0.0},  # cheat: every answer listed
    {"completion": "<answer>4 or 5</answer>", "answer": "4", "score": 0.0},
    {"completion": "<answer>x = 1 = 2</answer>", "answer": "x = 2", "score": 0.0},  # cheat: listed as a chain
    {"completion": "<answer>2 + 2</answer>", "answer": "4", "score": 0.0},  # cheat: the question as its answer
    {"completion": "<answer>1e999999999</answer>", "answer": "4", "score": 0.0},  # no number worth computing
    {"completion": "<answer>4", "answer": "4", "score": 0.0},
    {"completion": "", "answer": "4", "score": 0.0},
    {"completion": "<answer></answer>", "answer": "", "score": None},  # many answers are right: none is recorded
]
