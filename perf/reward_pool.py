"""What the pool of workers gains: mathematics scored by rewards/correct.py, in a loop and by more and more processes.

One completion in a hundred is one that hung as long as math-verify read it, until its alarm (5 s; correct.py before
version 3); the first table says how long each kind takes. The second: seconds for all completions, in a plain loop in
this process and through Workers. Their scores must be equal; those of completions that hang are decided by the clock,
and counted apart. The third: what a completion costs on its way to a worker and back, with a reward that does
nothing; the pool is warm.
Usage: python perf/reward_pool.py [COMPLETIONS [PROCESSES ...]]
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401

import logging
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlexp.inputs import reward_source
from rlexp.inputs.script import load_script
from rlexp.reward.pool.pool import Score, Workers

ROOT = Path(__file__).parents[1]
HANGING = 0.01
LIMIT = 30.0
"""Seconds a completion: above the alarms of math-verify, of which there may be three of 5 s."""
TRIVIAL = "version = 1\n\n\ndef score(completions):\n    return [1.0] * len(completions)\n"
REPEATS = 15
WARM = "<answer>1</answer>", r"\sqrt{2}"
"""What makes correct.py import mpmath."""

Pair = tuple[str, str]
"""An answer and the gold answer."""


def integer(draw: random.Random, right: bool) -> Pair:
    """72, 72.0, 1,072."""
    gold = draw.randrange(1000, 100_000)
    return draw.choice([str, float, "{:,}".format])(gold if right else gold + 1), str(gold)  # type: ignore[operator]


def fraction(draw: random.Random, right: bool) -> Pair:
    """3/4 beside 0.75."""
    above, power = draw.randrange(1, 500), draw.randrange(1, 5)
    return f"{above + (not right)}/{2**power}", str(above / 2**power)


def root(draw: random.Random, right: bool) -> Pair:
    r"""2\sqrt{3} beside \sqrt{12}."""
    times, under = draw.randrange(2, 30), draw.randrange(2, 99)
    return rf"{times}\sqrt{{{under + (not right)}}}", rf"\sqrt{{{times * times * under}}}"


def latex_fraction(draw: random.Random, right: bool) -> Pair:
    r"""\frac{7\pi}{6} beside \frac{14\pi}{12}."""
    above, below, times = draw.randrange(1, 30), draw.randrange(2, 30), draw.randrange(2, 5)
    return rf"\frac{{{above}\pi}}{{{below + (not right)}}}", rf"\frac{{{above * times}\pi}}{{{below * times}}}"


def square(draw: random.Random, right: bool) -> Pair:
    """(x+3)^2 beside x^2+6x+9."""
    a = draw.randrange(2, 50)
    return f"(x+{a})^2", f"x^2+{2 * a}x+{a * a + (not right)}"


def equation(draw: random.Random, right: bool) -> Pair:
    """y = 2x + 3 beside 2x - y = -3."""
    a, b = draw.randrange(2, 50), draw.randrange(2, 50)
    return f"y = {a}x + {b}", f"{a}x - y = {-b if right else -b - 1}"


ORDINARY = (integer, fraction, root, latex_fraction, square, equation)
HANGS: dict[str, Callable[[int], Pair]] = {
    "tower of powers": lambda n: (f"9^{{9^{{{n + 2}}}}}", f"{n + 2}^{{9^{{9^{{9}}}}}}"),
    "huge power": lambda n: (f"{2 * n + 5}^{{10^{{10}}}}", f"{2 * n + 3}^{{10^{{10}}}}"),
    "huge factorial": lambda n: (f"({10**8 + n - 1})!", f"({10**8 + n})! + 1"),
    "long sum": lambda n: ("2", rf"\sum_{{k=1}}^{{{10**8 + n}}} \frac{{1}}{{k^2}}"),
    "long product": lambda n: (str(n), rf"\prod_{{k=1}}^{{{10**6 + n}}} (k+\sqrt{{k}})"),
    "power near e": lambda n: ("e", rf"\left(1+\frac{{1}}{{10^9+{n}}}\right)^{{10^9}}"),
    "sine of a power": lambda n: ("0.5", rf"\sin({n + 10}^{{100000000}})"),
    "parentheses": lambda n: ("x", "(" * (32 + n % 20) + "x" + ")" * (32 + n % 20)),
}


def completions(count: int) -> tuple[dict[str, list[str]], dict[int, str]]:
    """The columns that correct.py reads, and the numbers of the completions that hang, with their kinds."""
    draw = random.Random(0)
    hanging = {n: list(HANGS)[k % len(HANGS)] for k, n in enumerate(draw.sample(range(count), round(count * HANGING)))}
    pairs = [
        HANGS[hanging[n]](n) if n in hanging else draw.choice(ORDINARY)(draw, draw.random() < 0.5) for n in range(count)
    ]
    texts = [f"<think>{'so it goes, ' * draw.randrange(50)}</think><answer>{given}</answer>" for given, _ in pairs]
    return {"completions": texts, "answer": [gold for _, gold in pairs]}, hanging


def loop(columns: dict[str, list[str]]) -> tuple[list[Score], list[float]]:
    """Scores and seconds of each completion, one after the other in this process."""
    score = load_script(ROOT / "rewards/correct.py").score
    scores, seconds = [], []
    for completion, answer in zip(columns["completions"], columns["answer"], strict=True):
        began = time.perf_counter()
        scores += score([completion], [answer])
        seconds.append(time.perf_counter() - began)
    return scores, seconds


def pooled(columns: dict[str, list[str]], processes: int) -> tuple[list[Score], float]:
    """Scores and seconds through Workers that have imported what they need."""
    with Workers({"correct": (reward_source.read(ROOT, "rewards/correct.py"), {})}, processes, LIMIT) as workers:
        time.sleep(1)  # all of them must be there to have a part in the next line
        workers.score("correct", {"completions": [WARM[0]] * 64 * processes, "answer": [WARM[1]] * 64 * processes})
        began = time.perf_counter()
        scores = workers.score("correct", columns)
        return scores, time.perf_counter() - began


def overhead(count: int, processes: int) -> tuple[float, float, float]:
    """Microseconds a completion for a reward that does nothing: median, least and most of REPEATS batches."""
    texts = {"completions": completions(count)[0]["completions"]}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "trivial.py").write_text(TRIVIAL)
        source = reward_source.read(Path(folder), "trivial.py")
        with Workers({"trivial": (source, {})}, processes, LIMIT) as workers:
            for _ in range(10):
                workers.score("trivial", texts)
            taken = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                workers.score("trivial", texts)
                taken.append((time.perf_counter() - began) / count * 1e6)
    return statistics.median(taken), min(taken), max(taken)


def show(title: str, *rows: tuple[Any, ...]) -> None:
    """Prints a table; the first row names its columns."""
    print(f"\n{title}\n")
    for number, row in enumerate(rows):
        print("| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")
        if not number:
            print("|---|" + "---:|" * (len(row) - 1), flush=True)


def main(count: int, numbers: list[int]) -> None:
    """Prints the tables."""
    logging.disable(logging.WARNING)  # math-verify tells of every alarm
    columns, hanging = completions(count)
    load_script(ROOT / "rewards/correct.py").score(*[[text] for text in WARM])
    cores, load = os.cpu_count(), os.getloadavg()[0]
    print(f"{count} completions, {len(hanging)} of them hang; {cores} processors, load {load:.1f} before")
    expected, seconds = loop(columns)

    kinds = {kind: [seconds[n] for n in hanging if hanging[n] == kind] for kind in HANGS}
    ordinary = [taken for n, taken in enumerate(seconds) if n not in hanging]
    rows = [(kind, len(taken), min(taken), max(taken)) for kind, taken in kinds.items() if taken]
    rows.append(("ordinary", len(ordinary), min(ordinary), max(ordinary)))
    show("How long a completion takes", ("kind", "completions", "least s", "most s"), *rows)

    total, table = sum(seconds), []
    for processes in numbers:
        scores, taken = pooled(columns, processes)
        unequal = {n for n, (score, wanted) in enumerate(zip(scores, expected, strict=True)) if score != wanted}
        others = unequal - hanging.keys()
        hung = len(hanging) - len(unequal & hanging.keys())
        verdict = f"NO: {len(others)} others" if others else "yes"
        load = round(os.getloadavg()[0], 1)
        table.append((processes, taken, count / taken, total / taken, verdict, f"{hung} of {len(hanging)}", load))
    columns_of = ("processes", "s", "completions/s", "ratio", "scores equal", "of those that hang", "load at the end")
    show("Scoring all of them", columns_of, ("a plain loop", total, count / total, 1.0, "", "", ""), *table)

    costs = [(processes, *overhead(count, processes)) for processes in numbers]
    show("A reward that does nothing, microseconds a completion", ("processes", "median", "least", "most"), *costs)


def powers_of_two() -> list[int]:
    """1, 2, 4, ... and the number of processors."""
    cores = os.cpu_count() or 1
    return sorted({2**n for n in range(cores.bit_length())} | {cores})


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(arguments[0] if arguments else 4096, arguments[1:] or powers_of_two())
