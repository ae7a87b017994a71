"""Seconds in which Unsloth rewrites TRL's trainers: all, as ``import unsloth`` does on a GPU, or a method's one.

Each in processes of its own, in turns. Runs on a CPU too, where Unsloth is imported as on a GPU (UNSLOTH_ALLOW_CPU) and
its walk, which is left out there, is called.

Usage, from the project folder:  python perf/unsloth_trainers.py [--rounds 3] [--method grpo]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMED = """
import sys, time
if sys.argv[1] != "all":
    from rlexp.backend.patches import one_trainer
    one_trainer.only(sys.argv[1])
import unsloth, unsloth.models.rl as rl
began = time.perf_counter()
rl.patch_trl_rl_trainers()
print("took", time.perf_counter() - began)
"""


def seconds(what: str) -> float:
    """Of one fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        paths = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
        environment = os.environ | {
            "PYTHONPATH": paths,
            "UNSLOTH_ALLOW_CPU": "1",
            "UNSLOTH_COMPILE_LOCATION": folder,
        }
        done = subprocess.run(
            [sys.executable, "-c", TIMED, what], env=environment, cwd=folder, capture_output=True, text=True
        )
    took = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("took ")]
    if not took:
        raise SystemExit(done.stdout + done.stderr)
    return float(took[0])


def main() -> None:
    """Reads the command line, runs and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="grpo")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[float]] = {"all": [], options.method: []}
    for _ in range(options.rounds):
        for what, measured in found.items():
            measured.append(seconds(what))
    print("| trainers rewritten | s, median (min-max) |\n|---|---:|")
    for what, measured in found.items():
        print(f"| {what} | {statistics.median(measured):.1f} ({min(measured):.1f}-{max(measured):.1f}) |")


if __name__ == "__main__":
    main()
