"""A sweep in warm workers against the same points as cold commands, and as scripts by hand, in one run.

Ours warm is one command, ``-m``. Cold are single commands of ours, of the points that ``--cold`` numbers, and
by hand scripts of TRL (perf/by_hand_point.py; with vLLM on a GPU); where fewer than all points were run their seconds
are multiplied, and said so. A warm point is held against its cold twin: on a CPU weights and metrics bit for bit, on a
GPU the rewards of its first five steps.

Usage, from the project folder (the model and data/arithmetic are made where they are missing):
  python perf/sweep.py                                     # tiny on a CPU: beta x num_generations x 2 seeds, 10 steps
  python perf/sweep.py --workers 2                         # two workers against two cold ones at a time
  python perf/sweep.py --gpu --cold 0,7 --hand 0,7         # SmolLM2-135M on one GPU: eight points of 20 steps
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OUT = "multirun/perf_sweep"
BETAS, GENERATIONS, SEEDS = ("0", "0.04"), ("4", "8"), ("0", "1")
SKIPPED = "timing"


def settings(gpu: bool) -> list[str]:
    """What all points have in common."""
    said = ["preflight.smoke=never", "held_out.samples=0", "held_out.rows=16", "reward=format+correct"]
    if gpu:
        return [*said, "model=smollm2_135m", "method.max_steps=20", "hardware=h200", "rollout=colocate"]
    return [*said, "method.max_steps=10"]


def points() -> list[list[str]]:
    """The overrides of each, in Hydra's order."""
    return [
        [f"method.beta={beta}", f"method.num_generations={count}", f"seed={seed}"]
        for beta in BETAS
        for count in GENERATIONS
        for seed in SEEDS
    ]


def timed(command: list[str]) -> float:
    """Seconds of a command.

    Raises:
        SystemExit: it failed; the end of what it said is printed.
    """
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return time.perf_counter() - began


def together(commands: list[list[str]], workers: int) -> float:
    """Seconds of commands, so many at a time."""
    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(timed, commands))
    return time.perf_counter() - began


def found(folder: Path) -> tuple[str, list[dict[str, Any]]]:
    """(hash of the adapter, metrics without times) of a run."""
    weights = hashlib.sha256((folder / "adapter/adapter_model.safetensors").read_bytes()).hexdigest()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    kept = [{k: v for k, v in one.items() if k != SKIPPED and not k.startswith("train_")} for one in lines]
    return weights, kept


def equal(one: Path, two: Path, gpu: bool) -> str:
    """What of a warm point and its cold twin is the same."""
    (hash_1, lines_1), (hash_2, lines_2) = found(one), found(two)
    if not gpu:
        return "equal bit for bit" if (hash_1, lines_1) == (hash_2, lines_2) else "DIFFERENT"
    rewards = [[line["reward"] for line in lines if "reward" in line][:5] for lines in (lines_1, lines_2)]
    apart = next((step for step, pair in enumerate(zip(*rewards, strict=True), 1) if pair[0] != pair[1]), None)
    return "rewards of 5 steps equal" if apart is None else f"rewards differ from step {apart}: {rewards}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cold", default="")
    parser.add_argument("--hand", default="")
    options = parser.parse_args()
    os.chdir(ROOT)
    all_points, said = points(), settings(options.gpu)
    cold = [int(one) for one in options.cold.split(",") if one] or list(range(len(all_points)))
    hand = [int(one) for one in options.hand.split(",") if one]
    ours = [sys.executable, "-m", "rlexp"]
    shutil.rmtree(OUT, ignore_errors=True)
    timed([*ours, "prepare", *said])
    model = "models/smollm2_135m" if options.gpu else "models/tiny"
    swept = [f"method.beta={','.join(BETAS)}", f"method.num_generations={','.join(GENERATIONS)}"]
    swept.append(f"seed={','.join(SEEDS)}")
    rows = []
    singles = [[*ours, *said, *all_points[at], f"hydra.run.dir={OUT}/cold_{at}"] for at in cold]
    seconds = together(singles, options.workers)
    rows.append(("cold commands of ours", len(cold), seconds * len(all_points) / len(cold)))
    print(json.dumps({"cold": seconds, "points": len(cold)}), flush=True)
    warm = [*ours, "-m", *said, *swept, f"hydra.sweep.dir={OUT}/warm", f"sweep.workers={options.workers}"]
    seconds = timed(warm)
    rows.append(("one command, warm workers", len(all_points), seconds))
    print(json.dumps({"warm": seconds, "points": len(all_points)}), flush=True)
    steps = "20" if options.gpu else "10"
    scripts, script = [], [sys.executable, "perf/by_hand_point.py", model, steps]
    for at in hand:
        beta, count, seed = (one.partition("=")[2] for one in all_points[at])
        scripts.append([*script, seed, beta, count, str(int(options.gpu))])
    if scripts:
        seconds = together(scripts, options.workers)
        rows.append(
            (f"TRL{' + vLLM' if options.gpu else ''} by hand", len(hand), seconds * len(all_points) / len(hand))
        )
        print(json.dumps({"hand": seconds, "points": len(hand)}), flush=True)
    plan = json.loads(Path(OUT, "warm/sweep.json").read_text())["points"]
    at_folder = {tuple(sorted(one["overrides"][-3:])): one["folder"] for one in plan}
    print(f"\n{len(all_points)} points, {steps} steps, {options.workers} at a time, {' '.join(said)}\n")
    print("| how | points run | s for all points | of warm |\n|---|---:|---:|---:|")
    total = rows[1][2]
    for name, run, seconds in rows:
        multiplied = " (multiplied)" if run < len(all_points) else ""
        print(f"| {name} | {run} | {seconds:.1f}{multiplied} | {seconds / total:.2f}x |")
    print("\n| point | warm | s in all | s from command or point to first step | cold twin |\n|---|---|---:|---:|---|")
    for at, overrides in enumerate(all_points):
        folder = Path(OUT, "warm", at_folder[tuple(sorted(overrides))])
        manifest = json.loads((folder / "manifest.json").read_text())
        laps = manifest["timings_s"]
        twin = equal(folder, Path(OUT, f"cold_{at}"), options.gpu) if at in cold else ""
        first = laps.get("built")
        print(f"| {' '.join(overrides)} | {manifest['warm']} | {laps['total']:.1f} | {first or 0:.1f} | {twin} |")


if __name__ == "__main__":
    main()
