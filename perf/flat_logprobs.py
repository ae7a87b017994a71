"""Seconds a step in which the log-probabilities of the samples are taken from vLLM: as TRL does it, and as rlexp does.

Needs vLLM and TRL, no GPU.

Usage, from the project folder:  python perf/flat_logprobs.py [--sequences 32] [--tokens 512]
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
ROUNDS = 9


def seconds(function: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def main() -> None:
    """Reads the command line, runs in turns and prints the table."""
    from trl.generation.vllm_generation import extract_logprobs
    from vllm.logprobs import FlatLogprobs

    from rlexp.backend.patches import flat_logprobs

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=512)
    options = parser.parse_args()
    outputs = []
    for _ in range(options.sequences):
        flat = FlatLogprobs()
        for _ in range(options.tokens):
            flat.append_fast([random.randrange(150_000)], [-random.random()], [1], [None])
        outputs.append(SimpleNamespace(outputs=[SimpleNamespace(logprobs=flat)]))
    sides = {
        "TRL": lambda: extract_logprobs(outputs),
        "rlexp": lambda: flat_logprobs.extract(outputs, extract_logprobs),
    }
    assert sides["TRL"]() == sides["rlexp"]()
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, measured in found.items():
            measured.append(seconds(sides[name]))
    print(f"| {options.sequences} x {options.tokens} | ms, median of {ROUNDS} (min-max) |\n|---|---:|")
    for name, measured in found.items():
        low, middle, high = (1000 * pick(measured) for pick in (min, statistics.median, max))
        print(f"| {name} | {middle:.1f} ({low:.1f}-{high:.1f}) |")


if __name__ == "__main__":
    main()
