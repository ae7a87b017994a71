"""Healthy runs that no health rule may say anything about: every method with several seeds, through the command line.

Prints a table of what each run reached and what was said of it. Exits with 1 where one warned, stopped or failed.

Usage: python perf/false_alarms.py [SEEDS] (default 3: eighteen runs, about ten minutes on two cores)
"""

import helped  # isort: skip  # noqa: F401
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = {
    "grpo": "arithmetic",
    "rloo": "arithmetic",
    "dpo": "arithmetic_preferences",
    "orpo": "arithmetic_preferences",
    "kto": "arithmetic_judged",
    "sft": "arithmetic_demonstrations",
}


def main(seeds: int) -> int:
    """Runs them one after the other."""
    print("| method | seed | status | steps | main number before | after | warnings and stops |")
    print("|---|---:|---|---:|---:|---:|---|")
    alarms = 0
    for method, dataset in DATA.items():
        for seed in range(seeds):
            folder = ROOT / "outputs" / f"false-alarms-{time.time():.0f}-{method}-{seed}"
            arguments = [f"method={method}", f"dataset={dataset}", f"seed={seed}", f"hydra.run.dir={folder}"]
            subprocess.run([sys.executable, "-m", "rlexp", *arguments], cwd=ROOT, capture_output=True)
            manifest = json.loads((folder / "manifest.json").read_text())
            held_out = manifest["held_out"]
            name = next(name for name in ("reward", "rewards/margins", "loss") if name in held_out)
            steps = len((folder / "metrics.jsonl").read_text().splitlines()) - 1
            said = ", ".join(f"{rule} ({what['level']})" for rule, what in manifest["health"].items()) or "none"
            alarms += said != "none" or manifest["status"] != "finished"
            numbers = " | ".join(f"{held_out[name][when]:.3f}" for when in ("before", "after"))
            print(f"| {method} | {seed} | {manifest['status']} | {steps} | {name} {numbers} | {said} |", flush=True)
    print(f"\n{alarms} of {seeds * len(DATA)} runs warned, stopped or failed")
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
