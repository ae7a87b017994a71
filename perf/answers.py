r"""What rewards/correct.py and math-verify pay for right notations of known answers, and for wrong neighbours.

The answers are those of MATH test, GSM8K test and GSM-hard (data/math/test.jsonl, data/gsm8k/test.jsonl and
data/gsm_hard/test.jsonl of github.com/ZubinGou/math-evaluation-harness) and the cases of inspect_ai
(tests/scorer/math_cases.json of github.com/UKGovernmentBEIS/inspect_ai), as FOLDER/math.jsonl, gsm8k.jsonl,
gsm_hard.jsonl and math_cases.json. Notations and neighbours are made of the text of an answer by rules of this file,
which know nothing of either grader: a right one says the same in other signs; a wrong one has another sign, digit,
unit, bracket, another number of elements, is a part of it, or lists several. A comparison of more than 5 s is missed.

math-verify is asked about BESIDE answers of each set (default 200), chosen by hash. Prints the tables; exits with 1
where anything wrong was paid, or more than 15% of the right ones were not.
Usage: python perf/answers.py FOLDER [BESIDE]
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401

import json
import logging
import re
import statistics
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from rlexp.inputs.script import load_script

ROOT = Path(__file__).parents[1]
LIMIT = 5.0
MOST_MISSED = 0.15
SHOWN = 5
"""Pairs shown of those missed, and of those paid."""
INTEGER = re.compile(r"-?\d+")
DECIMAL = re.compile(r"-?\d*\.\d+")
FRACTION = re.compile(r"(-?)\\[dt]?frac\{(\d+)\}\{(\d+)\}")
LIST = re.compile(r"[^,()\[\]{}\\]+(?:, ?[^,()\[\]{}\\]+)+")
PAIR = re.compile(r"([(\[])([^,()\[\]]+),([^,()\[\]]+)([)\]])")
ONE_NUMBER = re.compile(
    r"(?:[a-z] ?= ?)?[-$\\ ]*[\d.,!\\]+(?:\s*(?:\\(?:text|mbox|%|circ|;|,)|\^\{?\\circ).*)?", re.DOTALL
)
"""A number with a name or a unit at most: the bare number is no part of it, but the same answer."""
UNIT = re.compile(r"(.*[\d}]) ?(?:\\[,;!] ?)*\\(?:text|mbox) ?\{ ?([a-z ]+?)\.? ?\}(\^\d)?")
PLAIN = {r"\pi": "π", r"\sqrt": "√", r"\infty": "∞", r"\cup": "∪", r"^\circ": "°", r"\cdot": "·", r"\pm": "±"}

Grade = Callable[[str, str], bool]


class Pair(NamedTuple):
    """An answer beside the wanted one, and whether it is right."""

    kind: str
    given: str
    gold: str
    right: bool


def golds(folder: Path) -> dict[str, list[str]]:
    """Set -> its answers."""

    def lines(name: str) -> Iterator[dict[str, object]]:
        return map(json.loads, (folder / name).read_text(encoding="utf-8").splitlines())

    return {
        "MATH test": [boxed(str(row["solution"])) for row in lines("math.jsonl")],
        "GSM8K test": [last_line(str(row["answer"])) for row in lines("gsm8k.jsonl")],
        "GSM-hard": [re.sub(r"\.0$", "", f"{Decimal(str(row['target'])):f}") for row in lines("gsm_hard.jsonl")],
    }


def last_line(solution: str) -> str:
    """What stands behind #### of a solution."""
    return solution.rpartition("####")[2].strip()


def boxed(solution: str) -> str:
    r"""What the last \boxed of a solution holds."""
    rest = solution[solution.rindex(r"\boxed") + len(r"\boxed") :]
    if not rest.startswith("{"):
        return rest.split("$")[0].strip()
    depth = 0
    for place, sign in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if not depth:
            return rest[1:place]
    raise ValueError(solution)


def right(gold: str) -> Iterator[tuple[str, str]]:
    """(kind, notation) of the same answer."""
    yield "boxed", rf"\boxed{{{gold}}}"
    yield "in dollars", f"${gold}$" if "$" not in gold else rf"\({gold}\)"
    yield "a sentence", f"The answer is ${gold}$." if "$" not in gold else f"Answer: {gold}"
    number = gold.replace(",\\!", "").replace(",", "") if re.fullmatch(r"-?\d{1,3}(,(\\!)?\d{3})+", gold) else gold
    if INTEGER.fullmatch(number):
        value = int(number)
        yield "a decimal", f"{number}.0"
        yield "a fraction", rf"\frac{{{2 * value}}}{{2}}"
        yield "named", f"x = {number}"
        if value < 0:
            yield "typeset minus", "−" + number[1:]
        if abs(value) >= 1000:
            yield "thousands", f"{value:,}"
            yield "LaTeX thousands", f"{value:,}".replace(",", "{,}")
            yield "a power of ten", rf"{number[:-3]}.{number[-3:]} \times 10^3"
    elif DECIMAL.fullmatch(gold):
        yield "a longer decimal", f"{gold}0"
        fraction = Fraction(gold)
        yield "a fraction", f"{fraction.numerator}/{fraction.denominator}"
    elif read := FRACTION.fullmatch(gold):
        sign, above, below = read[1], int(read[2]), int(read[3])
        yield "plain", f"{sign}{above}/{below}"
        yield "not in lowest terms", rf"{sign}\frac{{{3 * above}}}{{{3 * below}}}"
        yield "another command", rf"{sign}\dfrac{{{above}}}{{{below}}}" if "dfrac" not in gold else gold
        if above > below and above % below:
            yield "mixed", rf"{sign}{above // below}\frac{{{above % below}}}{{{below}}}"
        if 10**6 % below == 0:
            yield "a decimal", f"{sign}{above / below}"
    else:
        yield "other blanks", re.sub(r"(?<!\\)([+=,-])", r" \1 ", gold)
        if "\\text" not in gold and "\\mbox" not in gold:
            plain = gold
            for command, sign in PLAIN.items():
                plain = re.sub(re.escape(command) + r"(?![A-Za-z])", sign, plain)
            yield "Unicode", plain
            yield "braces", re.sub(r"\\(sqrt|frac)(\d)(?!\d)", r"\\\1{\2}", gold)
            yield "roots as powers", re.sub(r"\\sqrt\{(\w+)\}", r"{\1}^{1/2}", gold)
        yield "bigger brackets", re.sub(r"(?<!\\left)(?<!\\right)([()\[\]])", size, gold)
    if unit := UNIT.fullmatch(gold):
        yield "without its unit", unit[1]
        yield "a plain unit", f"{unit[1]} {unit[2]}{unit[3] or ''}"
    if LIST.fullmatch(gold) and not re.fullmatch(r"\d{1,3}(,\d{3})+", gold):
        elements = [element.strip() for element in gold.split(",")]
        yield "another order", ", ".join(reversed(elements))
        yield "as a set", rf"\{{{', '.join(elements)}\}}"
        yield "with and", f"{', '.join(elements[:-1])} and {elements[-1]}"


def size(bracket: re.Match[str]) -> str:
    return (r"\left" if bracket[1] in "([" else r"\right") + bracket[1]


def wrong(gold: str) -> Iterator[tuple[str, str]]:
    """(kind, neighbour) that is another answer."""
    gold = gold.strip()
    if re.search(r"\d", gold) and not re.fullmatch(r"[-0.,]+", gold):
        digits = [found.start() for found in re.finditer(r"\d", gold)]
        for place in dict.fromkeys((digits[0], digits[-1])):
            other = str((int(gold[place]) + 3) % 10)
            yield "a digit", gold[:place] + other + gold[place + 1 :]
        yield "a digit more", gold[: digits[-1] + 1] + "7" + gold[digits[-1] + 1 :]
        if not re.search(r"\\pm|,|=|\\in\b|[<>:]|pmatrix|[A-Z]", gold):
            yield "the sign", gold[1:] if gold.startswith("-") else f"-{gold}" if not sums(gold) else f"-({gold})"
            yield "ten times", f"10({gold})" if not re.search(r"\\text|[$%]|mbox", gold) else "918273"
    yield "a listing with or", f"{gold} or 918273"
    yield "a listing", f"918273, {gold}"
    yield "listed boxes", rf"\boxed{{{gold}}} \boxed{{918273}}"
    yield "a chain", f"{gold} = 918273"
    yield "formulas in a row", f"$918273$ ${gold}$"
    if read := FRACTION.fullmatch(gold):
        yield "the numerator", f"{read[1]}{read[2]}"
        yield "turned over", rf"{read[1]}\frac{{{read[3]}}}{{{read[2]}}}"
    elif (numbers := re.findall(r"(?<![\d.,^{_])\d+(?![\d.,])", gold)) and not ONE_NUMBER.fullmatch(gold):
        yield "a number of it", numbers[-1]
    if LIST.fullmatch(gold) and not re.fullmatch(r"\d{1,3}(,\d{3})+", gold):
        yield "without an element", gold.rpartition(",")[0]
        yield "an element more", f"{gold}, 918273"
    if (pair := PAIR.fullmatch(gold)) and pair[2].strip() != pair[3].strip():
        yield "another bracket", f"{'[' if pair[1] == '(' else '('}{gold[1:]}"
        yield "turned round", f"{pair[1]}{pair[3]},{pair[2]}{pair[4]}"
        yield "one end", pair[3].strip()
    if (unit := UNIT.fullmatch(gold)) and unit[2] != "degrees":
        yield "another unit", rf"{unit[1]}\text{{ parsecs}}"


def sums(gold: str) -> bool:
    return re.search(r"(?<=.)[+-]", gold) is not None


def pairs(answers: list[str]) -> Iterator[Pair]:
    """Every notation and neighbour of every answer, once each."""
    for gold in answers:
        kept = [Pair(kind, given, gold, True) for kind, given in right(gold)]
        others = [Pair(kind, given, gold, False) for kind, given in wrong(gold) if given != gold]
        assert len(kept) >= 3 and len(others) >= 5, gold
        yield from kept + others


def inspect_cases(folder: Path) -> Iterator[Pair]:
    """The cases of inspect_ai."""
    for case in json.loads((folder / "math_cases.json").read_text(encoding="utf-8")):
        yield Pair(case["source"], case["output"], case["target"], case["expected"] == "C")


def ours() -> Grade:
    """rewards/correct.py."""
    score = load_script(ROOT / "rewards/correct.py").score
    return lambda given, gold: score([f"<think></think><answer>{given}</answer>"], [gold])[0] == 1.0


def math_verify() -> Grade:
    """math-verify as its page says, each side between dollar signs where it has none."""
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)

    def shown(text: str) -> str:
        return text if "$" in text or "\\boxed" in text or "\\(" in text else f"${text}$"

    return lambda given, gold: bool(verify(parse(shown(gold)), parse(shown(given))))


class Tally:
    """What one grader made of the pairs of one set."""

    def __init__(self) -> None:
        self.right = self.wrong = 0
        self.missed: list[Pair] = []
        self.paid: list[Pair] = []
        self.numbers: list[float] = []
        self.formulas: list[float] = []
        """Seconds of each comparison."""

    def add(self, grade: Grade, pair: Pair) -> None:
        """Grades a pair."""
        start = time.perf_counter()
        paid = grade(pair.given, pair.gold)
        took = time.perf_counter() - start
        (self.numbers if re.fullmatch(r"[-\d.,]+", pair.gold) else self.formulas).append(took)
        self.right += pair.right
        self.wrong += not pair.right
        if pair.right and (not paid or took > LIMIT):
            self.missed.append(pair)
        if not pair.right and paid:
            self.paid.append(pair)

    def row(self, name: str, grader: str) -> str:
        """A row of the table."""
        share = len(self.missed) / max(1, self.right)
        times = [f"{1000 * statistics.median(part):.2f}" if part else "-" for part in (self.numbers, self.formulas)]
        slowest = 1000 * max([0.0, *self.numbers, *self.formulas])
        cells = [name, grader, self.right, f"{len(self.missed)} ({share:.1%})", self.wrong, len(self.paid), *times]
        return f"| {' | '.join(map(str, cells))} | {slowest:.0f} |"


def main(folder: Path, beside: int) -> int:
    """Prints the tables."""
    own, other = ours(), math_verify()
    for grade in (own, other):
        grade(r"\sqrt{2}", r"\frac{2}{\sqrt{2}}")  # imports
    sets: dict[str, tuple[list[Pair], list[Pair]]] = {}
    for name, answers in golds(folder).items():
        chosen = sorted(set(answers), key=lambda gold: zlib.crc32(gold.encode()))[:beside]
        sets[name] = list(pairs(answers)), list(pairs(chosen))
    cases = list(inspect_cases(folder))
    sets["inspect_ai"] = cases, cases
    print("| set | grader | right | missed | wrong | paid | ms a number | ms a formula | slowest |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    failed = False
    found: list[tuple[str, Tally]] = []
    for name, (whole, some) in sets.items():
        graders: dict[str, tuple[Grade, list[Pair]]] = {
            "correct": (own, whole),
            "correct, some": (own, some),
            "math-verify, some": (other, some),
        }
        for grader, (grade, part) in graders.items():
            tally = Tally()
            for pair in part:
                tally.add(grade, pair)
            print(tally.row(name, grader), flush=True)
            found.append((f"{name}, {grader}", tally))
            if grader == "correct":
                failed |= bool(tally.paid) or len(tally.missed) > MOST_MISSED * tally.right
    for title, tally in found:
        for what, listed in (("missed", tally.missed), ("paid", tally.paid)):
            if listed:
                kinds = ", ".join(f"{kind} {count}" for kind, count in Counter(p.kind for p in listed).most_common())
                print(f"\n{title}, {what}: {kinds}")
            for pair in listed[:: max(1, len(listed) // SHOWN)][:SHOWN]:
                print(f"    {pair.given!r} for {pair.gold!r}")
    raw(folder, own)
    return int(failed)


def raw(folder: Path, grade: Grade) -> None:
    """Whole solutions as the wanted answer, and as the given one."""
    for name, key, short in (("gsm8k", "answer", last_line), ("math", "solution", boxed)):
        solutions = [json.loads(line)[key] for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        wanted = sum(grade(short(solution), solution) for solution in solutions)
        given = sum(grade(solution, short(solution)) for solution in solutions)
        print(
            f"\n{name}: {wanted} of {len(solutions)} whole solutions as the column answer, {given} as the answer given"
        )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200))
