"""``make fuzz``: thousands of cases by a seed; then some of the accepted command lines train one step.

python -m tests.fuzz --cases 5000 --seed 7 --train 100
"""

from __future__ import annotations

import argparse
import collections
import random
import re
import secrets
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.cases import CASES, Case
from tests.fuzz.worker import Outcome, Worker, scratch

ONE_STEP = ("model=tiny", "method.max_steps=1", "held_out.rows=0", "preflight.smoke=never")
TRAINING_LIMIT = 600


def drawn(count: int, number: int, judge: Callable[[Case], None]) -> None:
    """Hands ``count`` cases of a seed to ``judge``."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(CASES)
    def each(case: Case) -> None:
        judge(case)

    each()


def fuzz(count: int, number: int, project: Path) -> tuple[list[tuple[Case, Outcome]], list[str]]:
    """(every case with its outcome, a line for each fault)."""
    done: list[tuple[Case, Outcome]] = []
    faults: dict[str, str] = {}
    with Worker(project) as worker:

        def judge(case: Case) -> None:
            outcome = worker.type(case)
            done.append((case, outcome))
            fault = outcome.fault(case)
            first = outcome.said.partition("\n")[0]
            kind = re.sub(r"'.*?'|[\d.]+", "", f"{fault} {first}")
            if fault and kind not in faults:
                file = f" with {case.file} = {case.content!r}" if case.file else ""
                faults[kind] = f"{fault}\n  typed: {shlex.join(case.arguments)}{file}\n{outcome.said[-1500:]}"

        drawn(count, number, judge)
    return done, list(faults.values())


def train(lines: list[tuple[str, ...]], project: Path) -> list[str]:
    """Trains a step of each command line; a line for each that neither trained nor stopped with one message."""
    faults = []
    for number, words in enumerate(lines):
        typed = [*words, *ONE_STEP, f"hydra.run.dir=outputs/fuzz/{number}"]
        began = time.monotonic()
        try:
            command = [sys.executable, "-m", "rlexp", *typed]
            ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=TRAINING_LIMIT)
            outcome = Outcome(ended.returncode, ended.stderr, 0.0, ())
            fault = outcome.fault(Case(("train",)))
        except subprocess.TimeoutExpired:
            fault = f"took more than {TRAINING_LIMIT} s"
        print(f"trained {number + 1}/{len(lines)} in {time.monotonic() - began:.0f} s: {shlex.join(words)}", flush=True)
        if fault:
            said = "" if fault.startswith("took") else ended.stderr[-2000:]
            faults.append(f"{fault}\n  typed: {shlex.join(typed)}\n{said}")
    return faults


def main() -> int:
    """Prints the seed, the faults, and what the cases took; 1 when there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=None, help="a new one by default")
    parser.add_argument("--train", type=int, default=100, help="accepted command lines that train a step")
    options = parser.parse_args()
    number = secrets.randbelow(10**6) if options.seed is None else options.seed
    print(f"seed {number}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        project = scratch(Path(folder))
        began = time.monotonic()
        done, faults = fuzz(options.cases, number, project)
        took, times = time.monotonic() - began, [outcome.seconds for _, outcome in done]
        kinds = collections.Counter((case.kind, outcome.code) for case, outcome in done)
        for (kind, code), count in sorted(kinds.items()):
            print(f"{kind}: {count} ended with exit code {code}")
        slow = statistics.quantiles(times, n=20)[-1]
        print(f"{len(done)} cases in {took:.0f} s; a case: median {statistics.median(times):.3f} s, 95% {slow:.3f} s, ")
        print(f"longest {max(times):.1f} s; {len(faults)} kinds of faults")
        accepted = sorted(
            {case.arguments[1:] for case, outcome in done if outcome.code == 0 and _one_run(case)}, key=repr
        )
        chosen = random.Random(number).sample(accepted, min(options.train, len(accepted)))
        faults += train(chosen, project)
    for fault in faults:
        print(f"\nFAULT {fault}")
    print(f"\nseed {number}: {len(faults)} faults")
    return int(bool(faults))


def _one_run(case: Case) -> bool:
    """Whether a case is a plan of one run of the project as it is."""
    words = case.arguments[1:]
    plain = case.file is None and case.arguments[0] == "plan" and not any(w.startswith(("-", "hydra")) for w in words)
    return plain and not any(w.startswith("hardware=") and w != "hardware=cpu" for w in words)


if __name__ == "__main__":
    sys.exit(main())
