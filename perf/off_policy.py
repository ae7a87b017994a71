"""What one-step-off-policy sampling does to learning: ``method.off_policy_steps`` 0 against 1, over several seeds.

Every point is the command line in a process of its own, the same seed on both sides, which take turns. A run that
finished before in FOLDER is read, not trained again. Printed are means over the seeds with 95% intervals (Student's t):
the trained reward at the start, in the middle and at the end (WINDOW steps each), held-out scores before and after, and
the difference of the two sides seed by seed.

Usage: python perf/off_policy.py FOLDER [--seeds 6] [--steps 80] [OVERRIDE...]
(default: model=tiny on whatever this machine has; on two GPUs add rollout=server: there sampling overlaps)
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SIDES = (0, 1)
WINDOW = 5
T95 = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Student's t for 95%, two-sided, by the number of seeds."""


def trained(folder: Path, side: int, seed: int, steps: int, overrides: list[str]) -> dict[str, Any]:
    """The figures of one run, trained unless it is there."""
    where = folder / f"off{side}-seed{seed}"
    manifest = where / "manifest.json"
    if not manifest.is_file() or json.loads(manifest.read_text())["status"] != "finished":
        own = [f"hydra.run.dir={where}", f"method.off_policy_steps={side}", f"seed={seed}", f"method.max_steps={steps}"]
        same = ["held_out.rows=200", "held_out.samples=0", "preflight.smoke=never", "health=off"]
        command = [sys.executable, "-m", "rlexp", *own, *same, "method.save_strategy=no", *overrides]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
    said = json.loads(manifest.read_text())
    logged = [json.loads(line) for line in (where / "metrics.jsonl").read_text().splitlines()]
    rewards = [line["reward"] for line in logged if "reward" in line]
    clipped = [line["clip_ratio/region_mean"] for line in logged if "clip_ratio/region_mean" in line]
    middle = len(rewards) // 2
    held = said["held_out"]
    return {
        f"reward, steps 1-{WINDOW}": statistics.fmean(rewards[:WINDOW]),
        f"reward, {WINDOW} steps in the middle": statistics.fmean(rewards[middle - WINDOW // 2 :][:WINDOW]),
        f"reward, last {WINDOW} steps": statistics.fmean(rewards[-WINDOW:]),
        **{f"held-out {name}, {when}": held[name][when] for name in held for when in ("before", "after")},
        "tokens clipped": statistics.fmean(clipped),
        "step s, median": said["step_time_s"]["step"],
        "of it generate s": said["step_time_s"].get("generate", 0.0),
        "of it log-probabilities s": said["step_time_s"].get("logprobs", 0.0),
        "of it forward/backward s": said["step_time_s"].get("forward_backward", 0.0),
        "of it weight sync s": said["step_time_s"].get("weight_sync", 0.0),
    }


def interval(values: list[float]) -> str:
    """Mean and half the width of its 95% interval."""
    half = T95[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.fmean(values):.3f} ± {half:.3f}"


def table(found: dict[int, list[dict[str, Any]]]) -> list[str]:
    """The rows of the table, as Markdown."""
    column: Callable[[int, str], list[float]] = lambda side, name: [run[name] for run in found[side]]  # noqa: E731
    rows = ["| | on-policy (0) | one step off (1) | difference, seed by seed |", "|---|---:|---:|---:|"]
    for name in found[0][0]:
        zero, one = column(0, name), column(1, name)
        apart = [b - a for a, b in zip(zero, one, strict=True)]
        rows.append(f"| {name} | {interval(zero)} | {interval(one)} | {interval(apart)} |")
    return rows


def main() -> None:
    """Trains what is missing and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=6, choices=T95)
    parser.add_argument("--steps", type=int, default=80)
    options, overrides = parser.parse_known_args()
    found: dict[int, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for seed in range(options.seeds):
        for side in SIDES if seed % 2 else reversed(SIDES):
            figures = trained(options.folder.resolve(), side, seed, options.steps, overrides)
            found[side].append(figures)
            last = figures[f"reward, last {WINDOW} steps"]
            print(f"seed {seed} off_policy_steps={side}: last {WINDOW} steps {last:.3f}", file=sys.stderr, flush=True)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "trl", "transformers", "unsloth", "peft"))
    print(f"{options.seeds} seeds, {options.steps} steps, {' '.join(overrides) or 'defaults'}")
    print(f"{platform.machine()}, Python {platform.python_version()}, {packages}\n")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
