"""What training on prompts of middling difficulty does: ``dataset.difficulty`` against every row, over several seeds.

The pass rates are measured once, by ``rlexp difficulty``; then every point is the command line in a process of its own,
the same seed on both sides, which take turns. A run that finished before in FOLDER is read, not trained again. Printed
is the held-out reward on both sides, and the difference seed by seed with its 95% interval (Student's t, paired):

- per step: after the same number of steps;
- per second: at the seconds of training that the side with every row took to that step (held-out measurements are in
  neither; between two of them the reward is taken to lie on a line, and behind the last one to stay);
- per second, rates counted: the same, where the filtered side begins only after the seconds of sampling its rates.

Usage: python perf/difficulty_effect.py FOLDER [--seeds 5] [--steps 60] [--every 10] [--rows ROWS] [--n 8]
       [--low 0.1] [--high 0.9] [OVERRIDE...]
(default: the main job, model=tiny method=grpo reward=format+correct dataset=arithmetic; FOLDER becomes a project)
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import helped  # noqa: F401
import numpy as np
import yaml

JOB = ("model=tiny", "method=grpo", "reward=format+correct", "dataset=arithmetic")
SIDES = ("every row", "filtered")
RATES = "rates.json"
"""What ``difficulty --json`` answered, in FOLDER."""


@dataclass(frozen=True)
class Curve:
    """The held-out reward of one run while it trained."""

    steps: list[int]
    """Where it was measured; the first is 0."""
    seconds: list[float]
    """Of training, up to there."""
    rewards: list[float]

    def at(self, seconds: Sequence[float], later: float = 0.0) -> list[float]:
        """The reward after so many seconds, of which ``later`` went by before training began."""
        return np.interp(np.asarray(seconds) - later, self.seconds, self.rewards).tolist()


def curve(run_dir: Path) -> Curve:
    """The curve of a finished run, from its metrics and its manifest."""
    before = json.loads((run_dir / "manifest.json").read_text())["held_out"]["reward"]["before"]
    found, took = Curve([0], [0.0], [before]), 0.0
    times: dict[int, float] = {}
    measured: dict[int, float] = {}
    for line in (run_dir / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if "step_time/step" in entry.get("timing", {}):
            times[entry["step"]] = entry["timing"]["step_time/step"]
        if "held_out/reward" in entry:
            measured[entry["step"]] = entry["held_out/reward"]
    for step in range(1, max(times) + 1):
        took += times.get(step, 0.0)
        if step in measured:
            found.steps.append(step)
            found.seconds.append(took)
            found.rewards.append(measured[step])
    return found


def interval(apart: Sequence[float]) -> str:
    """The mean of paired differences with its 95% interval, and whether that holds 0."""
    from scipy import stats

    mean = statistics.fmean(apart)
    if len(apart) < 2:
        return f"{mean:+.3f} (one seed: no interval)"
    found = stats.ttest_1samp(apart, 0.0).confidence_interval(0.95)
    low, high = (mean, mean) if len(set(apart)) == 1 else (float(found.low), float(found.high))
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]{' no effect told' if low <= 0 <= high else ''}"


def rows(every: Sequence[Curve], filtered: Sequence[Curve], rates_s: float) -> list[str]:
    """The table, as Markdown; the curves of both sides, seed by seed."""
    lines = ["| held-out reward | every row | filtered | difference [95%] |", "|---|---:|---:|---:|"]
    places = range(1, len(every[0].steps))
    mean = statistics.fmean
    of_every = [[run.rewards[place] for run in every] for place in places]
    seconds = [[run.seconds[place] for run in every] for place in places]

    def add(name: str, one: Sequence[float], other: Sequence[float]) -> None:
        apart = [b - a for a, b in zip(one, other, strict=True)]
        lines.append(f"| {name} | {mean(one):.3f} | {mean(other):.3f} | {interval(apart)} |")

    for place, one in zip(places, of_every, strict=True):
        add(f"per step: {every[0].steps[place]}", one, [run.rewards[place] for run in filtered])
    add("per step: mean of these", *([mean(run.rewards[1:]) for run in side] for side in (every, filtered)))
    for name, later in (("per second", 0.0), (f"per second, {rates_s:.0f} s of rates counted", rates_s)):
        at = [[run.at([taken[seed]], later)[0] for seed, run in enumerate(filtered)] for taken in seconds]
        for taken, one, other in zip(seconds, of_every, at, strict=True):
            add(f"{name}: {mean(taken):.1f} s", one, other)
        means = [[mean(values) for values in zip(*side, strict=True)] for side in (of_every, at)]
        add(f"{name}: mean of these", *means)
    return lines


def typed(folder: Path, *words: str) -> str:
    """Runs the command line in the project; its stdout."""
    done = subprocess.run([sys.executable, "-m", "rlexp", *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def measured(folder: Path, n: int, overrides: Sequence[str]) -> dict[str, Any]:
    """What measuring the rates answered, the first time."""
    kept = folder / RATES
    if not kept.is_file():
        kept.write_text(typed(folder, "difficulty", f"n={n}", *overrides, "--json"))
    return json.loads(kept.read_text())


def trained(folder: Path, side: str, seed: int, options: argparse.Namespace, overrides: Sequence[str]) -> Curve:
    """The curve of one run, trained unless it is there."""
    name = f"outputs/{side.replace(' ', '_')}-seed{seed}"
    manifest = folder / name / "manifest.json"
    if not manifest.is_file() or json.loads(manifest.read_text())["status"] != "finished":
        own = [f"hydra.run.dir={name}", f"seed={seed}", f"method.max_steps={options.steps}", "method.logging_steps=1"]
        held_out = [f"held_out.every={options.every}", "held_out.rows=200", "held_out.samples=0"]
        kept = [f"dataset.difficulty=[{options.low},{options.high}]"] if side == SIDES[1] else []
        same = ["preflight.smoke=never", "health=off", "method.save_strategy=no"]
        typed(folder, *own, *held_out, *same, *kept, *overrides)
        print(f"{side}, seed {seed}: done", file=sys.stderr, flush=True)
    return curve(folder / name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name, default in (("seeds", 5), ("steps", 60), ("every", 10), ("rows", None), ("n", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--low", type=float, default=0.1)
    parser.add_argument("--high", type=float, default=0.9)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_intermixed_args()
    folder = options.folder.resolve()
    if not (folder / "conf").is_dir():
        typed(Path(), "init", str(folder))
    rows_of = [f"dataset.params.train={options.rows}"] if options.rows else []
    overrides = [*JOB, *rows_of, *options.overrides]
    rates = measured(folder, options.n, overrides)
    found: dict[str, list[Curve]] = {side: [] for side in SIDES}
    for seed in range(options.seeds):
        for side in SIDES if seed % 2 == 0 else SIDES[::-1]:
            found[side].append(trained(folder, side, seed, options, overrides))
    lock = yaml.safe_load((folder / f"outputs/{SIDES[1]}-seed0/run.lock.yaml").read_text())
    kept = lock["inputs"]["difficulty"]["kept"]
    print(
        f"{platform.processor() or platform.machine()}, torch {version('torch')}, "
        f"trl {version('trl')}; {options.seeds} seeds, {options.steps} steps; {' '.join(overrides)}"
    )
    print(
        f"rates: n={rates['n']}, {rates['rows']} rows, {rates['equal']} of them all right or all wrong, {kept} "
        f"from {options.low:g} to {options.high:g}, sampled in {rates['seconds']:.1f} s\n"
    )
    print("\n".join(rows(found[SIDES[0]], found[SIDES[1]], rates["seconds"])))


if __name__ == "__main__":
    main()
