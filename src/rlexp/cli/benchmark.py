"""``benchmark``: what the exported artifacts of a run cost on this machine, and what they are worth.

``export=gguf`` measures some formats only, ``eval=sums`` asks another task, ``--p99 2`` says what an answer may take.
"""

from __future__ import annotations

import math
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.api.benchmark import SAMPLES, Benchmarked, benchmark, planned
from rlexp.api.evaluate import sort_words
from rlexp.benchmark.measure import Settings
from rlexp.benchmark.rate import TIMES
from rlexp.cli import benchmark_view, flags
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.cli.progress import Counter
from rlexp.console import RunConsole
from rlexp.errors import RunError

USUAL = Settings()


def command(arguments: list[str], here: Path) -> Answer:
    """``benchmark RUN [export=FORMATS] [eval=TASK] [eval.KEY=VALUE]``.

    Raises:
        RunError: the word names no run, nothing of it is exported, or a number is none; nothing was written.
    """
    about = f"Measures the exported artifacts of a run: speed, memory, steadiness, the task's score. {flags.TRUST_HELP}"
    parser = Parser("benchmark", about)
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="a run; and export=FORMATS for some of its artifacts, eval=TASK (its score, "
        f"{SAMPLES} samples a prompt), eval.KEY=VALUE, hardware=NAME",
    )
    add_limits(parser)
    parser.add_argument("--again", action="store_true", help="measure also what was measured before")
    options = parser.parse_intermixed_args(arguments)
    words, overrides = sort_words(options.words, here)
    if len(words) != 1:
        what = "one run is benchmarked at a time" if words else "no run is named"
        hint = f"type python -m rlexp benchmark {words[0] if words else 'RUN'}"
        raise RunError(what, where=" ".join(["benchmark", *words]), hint=hint)
    how = _settings(options)
    root, console = project.root(), RunConsole()
    asked = planned(words[0], overrides, how, here, root, options.again)
    done = benchmark(asked, console.print, lambda total: Counter(console, total, "prompts"))
    return Answer(lambda: to_json(done, root), lambda: benchmark_view.show(done, root), 1 if done.died else 0)


def add_limits(parser: Parser) -> None:
    """Adds the options that say how much is measured."""
    limit = f"what the 99th percentile of a whole answer may take; without it {TIMES:g} times the 95th of one alone"
    parser.add_argument("--p99", metavar="SECONDS", help=limit)
    for name, meta, what in (
        ("requests", "N", "of every level of requests at once"),
        ("seconds", "SECONDS", "for the search of the highest rate, an artifact"),
    ):
        parser.add_argument(f"--{name}", metavar=meta, help=f"{what}; {getattr(USUAL, name):g}")


def limits_typed(options: Namespace) -> list[str]:
    """Those that were typed, as they are typed, for another command line.

    Raises:
        RunError: one is no number above 0.
    """
    _settings(options)
    return [f"--{name}={found}" for name in ("p99", "requests", "seconds") if (found := getattr(options, name))]


def _settings(options: Namespace) -> Settings:
    return Settings(
        _number("p99", options.p99, USUAL.p99),
        int(_number("requests", options.requests, USUAL.requests, whole=True) or 0),
        _number("seconds", options.seconds, USUAL.seconds) or 0.0,
    )


def _number(name: str, typed: str | None, usual: float | None, whole: bool = False) -> float | None:
    """A number above 0 that was typed behind an option.

    Raises:
        RunError: it is none.
    """
    if typed is None:
        return usual
    try:
        value = int(typed) if whole else float(typed)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1e6:
        wanted = "a whole number" if whole else "a number"
        hint = f"type --{name} {8 if whole else 2}"
        raise RunError(f"--{name} takes {wanted} above 0", where=f"--{name} {typed}", hint=hint)
    return value


def to_json(done: Benchmarked, root: Path) -> dict[str, Any]:
    """The benchmark as JSON values: its record, and where it is."""
    content = {key: value for key, value in done.content.items() if key != "format"}
    plots = [os.path.relpath(one, root) for one in done.plots]
    return {"format": FORMAT, "folder": os.path.relpath(done.folder, root), **content, "plots": plots}
