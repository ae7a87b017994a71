"""Small functions to write, each with the tests that the reward code_tests runs.

A task is a family of functions with its numbers filled in ("the words longer than 4 letters"). Its tests are drawn
from ``seed``, and what they expect is computed by a reference that is written otherwise than the solution.
"""

import json
import random
import string
from collections import Counter
from collections.abc import Callable
from itertools import zip_longest
from typing import Any, NamedTuple

from rlexp.errors import RunError

TESTS = 6
"""A task; one more input is the example of the prompt, which is no test."""
WORDS = ["apple", "bridge", "cat", "door", "echo", "forest", "gate", "hill", "ink", "jar", "kite", "lamp"]
WORDS += ["moon", "night", "oak", "pen", "quartz", "rain", "sea", "tree"]


class Family(NamedTuple):
    """Functions of one argument that differ in their numbers."""

    name: str
    """Of the function, over the parameters: no two tasks ask for the same name."""
    argument: str
    """Its name."""
    says: str
    """What it returns, over the parameters."""
    body: str
    """Of the solution, over the parameters."""
    reference: Callable[..., Any]
    """The same in other words: takes the argument and the parameters."""
    params: list[dict[str, Any]]
    draw: Callable[[random.Random], Any]
    """One argument."""


def _number(generator: random.Random) -> int:
    return generator.randint(-60, 60)


def _numbers(generator: random.Random) -> list[int]:
    return [generator.randint(-9, 30) for _ in range(generator.randint(0, 9))]


def _count(generator: random.Random) -> int:
    return generator.randint(0, 40)


def _text(generator: random.Random) -> str:
    return " ".join(generator.choices(WORDS, k=generator.randint(1, 6)))


def _words(generator: random.Random) -> list[str]:
    return generator.choices(WORDS, k=generator.randint(0, 6))


def _shifted(letter: str, k: int) -> str:
    letters = string.ascii_lowercase
    return letters[(letters.index(letter) + k) % 26] if letter in letters else letter


def _digits(n: int, k: int) -> list[int]:
    return ([] if n < k else _digits(n // k, k)) + [n % k]


def _k(first: int, last: int) -> list[dict[str, Any]]:
    return [{"k": k} for k in range(first, last + 1)]


FAMILIES = [
    Family(
        "line_value_{a}_{b}",
        "x",
        "{a} times the number `x`, plus {b}",
        "return {a} * x + {b}",
        lambda x, a, b: sum([x] * a) + b,
        [{"a": a, "b": b} for a in range(2, 8) for b in range(1, 7)],
        _number,
    ),
    Family(
        "clamp_{low}_{high}",
        "x",
        "the number `x`, but {low} where it is smaller than {low}, and {high} where it is larger than {high}",
        "return max({low}, min({high}, x))",
        lambda x, low, high: low if x < low else high if x > high else x,
        [{"low": low, "high": low + span} for low in range(0, 30, 5) for span in (5, 10, 15, 20, 25)],
        _number,
    ),
    Family(
        "count_remainder_{m}_of_{k}",
        "numbers",
        "how many of the list `numbers` leave the remainder {m} when divided by {k}",
        "count = 0\nfor number in numbers:\n    if number % {k} == {m}:\n        count += 1\nreturn count",
        lambda numbers, k, m: len([n for n in numbers if (n - m) / k == (n - m) // k]),
        [{"k": k, "m": m} for k in range(2, 8) for m in range(k)],
        _numbers,
    ),
    Family(
        "keep_above_{k}",
        "numbers",
        "the numbers of the list `numbers` that are larger than {k}, in their order",
        "return [number for number in numbers if number > {k}]",
        lambda numbers, k: list(filter(lambda n: n - k > 0, numbers)),
        _k(0, 20),
        _numbers,
    ),
    Family(
        "power_sum_{k}_without_{m}",
        "n",
        "the sum of the numbers from 1 to `n`, each to the power of {k}, leaving out those divisible by {m}",
        "total = 0\nfor i in range(1, n + 1):\n    if i % {m} != 0:\n        total += i**{k}\nreturn total",
        lambda n, k, m: sum(i**k for i in range(n + 1)) - sum(i**k for i in range(0, n + 1, m)),
        [{"k": k, "m": m} for k in (1, 2, 3) for m in range(2, 10)],
        _count,
    ),
    Family(
        "every_{k}th_behind_{skip}",
        "items",
        "every {k}th word of the list `items`, beginning behind the first {skip}, joined by hyphens",
        'chosen = items[{skip} :: {k}]\nreturn "-".join(chosen)',
        lambda items, k, skip: "-".join(item for i, item in enumerate(items[skip:]) if i % k == 0),
        [{"k": k, "skip": skip} for k in (4, 5, 6, 7) for skip in range(1, 7)],
        lambda generator: generator.choices(WORDS, k=generator.randint(3, 16)),
    ),
    Family(
        "rotate_{k}",
        "items",
        "the list `items` rotated to the left by {k} places; an empty list stays empty",
        "if not items:\n    return []\nk = {k} % len(items)\nreturn items[k:] + items[:k]",
        lambda items, k: [items[(i + k) % len(items)] for i in range(len(items))],
        _k(1, 12),
        _numbers,
    ),
    Family(
        "count_{a}_and_{b}",
        "text",
        "how often one of the letters '{a}' and '{b}' stands in the text `text`",
        'return text.count("{a}") + text.count("{b}")',
        lambda text, a, b: sum(letter in (a, b) for letter in text),
        [{"a": a, "b": b} for i, a in enumerate("aeinort") for b in "aeinort"[i + 1 :]],
        _text,
    ),
    Family(
        "in_base_{k}",
        "n",
        "the digits of the number `n` in base {k}, as a list of numbers, the highest digit first ([0] for 0)",
        "digits = [n % {k}]\nwhile n >= {k}:\n    n //= {k}\n    digits.append(n % {k})\nreturn digits[::-1]",
        _digits,
        [{"k": k} for k in range(2, 20) if k != 10],
        lambda generator: generator.randint(0, 900),
    ),
    Family(
        "words_above_{k}_{method}",
        "text",
        "the list of the words of the text `text` that have more than {k} letters, sorted by the alphabet, in {case}",
        "words = sorted(word for word in text.split() if len(word) > {k})\nreturn [word.{method}() for word in words]",
        lambda text, k, case, method: sorted(getattr(w, method)() for w in text.split() if w[k:]),
        [
            {"k": k, "case": case, "method": method}
            for k in (2, 3, 4)
            for case, method in (("upper case", "upper"), ("lower case", "lower"), ("title case", "title"))
        ],
        _text,
    ),
    Family(
        "largest_{k}_below_{m}",
        "numbers",
        "the {k} largest different numbers of the list `numbers` below {m}, the largest first; fewer where there are "
        "fewer",
        "return sorted((n for n in set(numbers) if n < {m}), reverse=True)[:{k}]",
        lambda numbers, k, m: [n for n in range(m - 1, -99, -1) if n in numbers][:k],
        [{"k": k, "m": m} for k in (2, 3, 4) for m in range(3, 9)],
        lambda generator: [generator.randint(-5, 9) for _ in range(generator.randint(2, 12))],
    ),
    Family(
        "pieces_of_{k}_times_{m}",
        "items",
        "the list of the sums of the list `items` cut into pieces of {k}, each sum times {m}; the last piece may be "
        "shorter",
        "cut = [items[i : i + {k}] for i in range(0, len(items), {k})]\nreturn [{m} * sum(piece) for piece in cut]",
        lambda items, k, m: [m * sum(cut) for cut in zip_longest(*(items[i::k] for i in range(k)), fillvalue=0)],
        [{"k": k, "m": m} for k in range(2, 6) for m in range(2, 8)],
        lambda generator: [generator.randint(0, 9) for _ in range(generator.randint(3, 13))],
    ),
    Family(
        "encode_{k}",
        "text",
        "the text `text` with every letter moved {k} places on in the alphabet, which begins again behind z",
        'result = ""\nfor letter in text:\n    if letter == " ":\n        result += " "\n    else:\n'
        '        result += chr((ord(letter) - ord("a") + {k}) % 26 + ord("a"))\nreturn result',
        lambda text, k: "".join(_shifted(letter, k) for letter in text),
        _k(1, 25),
        _text,
    ),
    Family(
        "parabola_{a}_{b}_{c}",
        "x",
        "{a}x² - {b}x + {c} for the number `x`",
        "return {a} * x**2 - {b} * x + {c}",
        lambda x, a, b, c: (a * x - b) * x + c,
        [{"a": a, "b": b, "c": c} for a in (1, 2, 3) for b in (2, 3, 4) for c in (1, 5, 9, 13)],
        lambda generator: generator.randint(-12, 12),
    ),
    Family(
        "sums_of_{k}_up_to_{m}",
        "numbers",
        "the list of the sums of every {k} neighbours in the list `numbers`, from left to right, sums above {m} left "
        "out",
        "sums = [sum(numbers[i : i + {k}]) for i in range(len(numbers) - {k} + 1)]\n"
        "return [total for total in sums if total <= {m}]",
        lambda numbers, k, m: [
            sum(group) for group in zip(*(numbers[i:] for i in range(k)), strict=False) if not sum(group) > m
        ],
        [{"k": k, "m": m} for k in (2, 3, 4) for m in range(5 * k, 5 * k + 7)],
        lambda generator: [generator.randint(0, 9) for _ in range(generator.randint(5, 12))],
    ),
    Family(
        "{x}_{a}_{y}_{b}",
        "n",
        "'{x}' where the number `n` is divisible by {a}, '{y}' where it is divisible by {b}, '{x}{y}' where by both, "
        "and else `n` as text",
        'word = ""\nif n % {a} == 0:\n    word += "{x}"\nif n % {b} == 0:\n    word += "{y}"\nreturn word or str(n)',
        lambda n, a, b, x, y: {(1, 1): x + y, (1, 0): x, (0, 1): y}.get((n % a < 1, n % b < 1), f"{n}"),
        [
            {"a": a, "b": b, "x": x, "y": y}
            for a, b in ((2, 3), (2, 5), (3, 4), (3, 5), (2, 7))
            for x, y in (("fizz", "buzz"), ("tick", "tock"), ("ping", "pong"), ("hip", "hop"))
        ],
        lambda generator: generator.randint(1, 30),
    ),
    Family(
        "initials_from_{k}",
        "items",
        "a dictionary from the first letter to how many words of the list `items` begin with it, "
        "counting only words of at least {k} letters",
        "counts = dict()\nfor word in items:\n    if len(word) >= {k}:\n"
        "        counts[word[0]] = counts.get(word[0], 0) + 1\nreturn counts",
        lambda items, k: dict(Counter(word[0] for word in items if word[k - 1 :])),
        _k(3, 6),
        _words,
    ),
    Family(
        "share_from_{k}",
        "numbers",
        "the share of the list `numbers` that is at least {k}, as a number from 0 to 1 (0 for an empty list)",
        "if not numbers:\n    return 0.0\nreturn sum(number >= {k} for number in numbers) / len(numbers)",
        lambda numbers, k: 1 - sum(n < k for n in numbers) / len(numbers) if numbers else 0.0,
        _k(1, 20),
        _numbers,
    ),
]


def rows(train: int = 300, test: int = 50, seed: int = 0) -> dict[str, list[dict]]:
    """Prompt-only rows: ``prompt`` (one user message), ``tests`` (JSON text, as the reward code_tests reads it),
    and ``solution`` (a right completion).

    Args:
        train: rows to train on.
        test: rows held out; none of their tasks is among the training rows.
        seed: settles the tasks, their order and the inputs of their tests.

    Raises:
        RunError: more rows than there are tasks, or a split without rows.
    """
    tasks = [(family, params) for family in FAMILIES for params in family.params]
    if train < 1 or test < 1 or train + test > len(tasks):
        raise RunError(
            f"{train} training and {test} test rows cannot be drawn from {len(tasks)} tasks",
            where=f"data_prep/small_programs.py: train={train} test={test}",
            hint="ask for at least one row a split, and for fewer rows",
        )
    random.Random(seed).shuffle(tasks)
    drawn = [_row(family, params, seed) for family, params in tasks[: train + test]]
    return {"train": drawn[test:], "test": drawn[:test]}


def _row(family: Family, params: dict[str, Any], seed: int) -> dict:
    name = family.name.format(**params)
    example, *inputs = _inputs(family, params, random.Random(f"{seed} {name}"))
    head = f"{name}({family.argument})"
    request = (
        f"Write a Python function `{head}` that returns {family.says.format(**params)}. For example, "
        f"`{name}({example!r})` is `{family.reference(example, **params)!r}`. "
        "Answer with the function in one fenced block of Python."
    )
    tests = [{"call": f"{name}({x!r})", "expected": family.reference(x, **params)} for x in inputs]
    body = "".join(f"    {line}\n" for line in family.body.format(**params).split("\n"))
    return {
        "prompt": [{"role": "user", "content": request}],
        "tests": json.dumps(tests),
        "solution": f"```python\ndef {head}:\n{body}```",
    }


def _inputs(family: Family, params: dict[str, Any], generator: random.Random) -> list[Any]:
    """Different inputs, the example first, whose tests tell a solution from what is none: no value is expected of more
    than half of them, at most half expect the argument back, and no other task of the family passes them all."""
    others = [other for other in family.params if other != params]
    while True:
        inputs: list[Any] = []
        while len(inputs) < TESTS + 1:
            drawn = family.draw(generator)
            inputs += [drawn] if drawn not in inputs else []
        asked = inputs[1:]
        values = [family.reference(x, **params) for x in asked]
        alike = [sum(value == other for other in values) for value in values]
        handed_back = sum(value == x for value, x in zip(values, asked, strict=True))
        passing = any(all(family.reference(x, **o) == y for x, y in zip(asked, values, strict=True)) for o in others)
        if max(*alike, handed_back) <= TESTS // 2 and not passing:
            return inputs
