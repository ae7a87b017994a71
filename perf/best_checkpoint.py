"""The best checkpoint: base, checkpoints, the chosen one and the last, with intervals; and what a bad reward does.

In FOLDER, which becomes a copy of the project, on a CPU with the tiny model:

- grpo, dpo: a run that measures other rows of the task ``sums`` every N steps and chooses by ``correct`` there
  (``held_out.task``); then base and every checkpoint, the last one too, are evaluated on the rows that chose nothing.
- length: the trained reward pays for length beside right answers. Three seeds; the checkpoint chosen by the task, the
  last one and the one with the highest trained reward side by side.

A run that finished before in FOLDER is not trained again.

Usage: python perf/best_checkpoint.py FOLDER [grpo dpo length] [--steps 40] [--every 10]
       [--correct 1.0] (the weight of right answers beside the length)
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import helped  # noqa: F401
from evaluated import answer, interval, project

from tests.end_to_end.planted import paid_for_length

PARTS: dict[str, tuple[str, ...]] = {
    "grpo": ("model=tiny", "method=grpo"),
    "dpo": ("experiment=sums_dpo",),
    "length": ("model=tiny", "method=grpo"),
}
CHOICE = ("held_out.task=sums", "held_out.metric=correct", "held_out.rows=64", "held_out.samples=0", "held_out.keep=99")


def train(place: Path, folder: str, words: Sequence[str]) -> dict[str, Any]:
    """Trains a run, unless it is there; answers its manifest."""
    manifest = place / folder / "manifest.json"
    if not (place / folder / "adapter").exists():
        answer(place, *words, *CHOICE, "preflight.smoke=never", "health=off", f"hydra.run.dir={folder}")
    return json.loads(manifest.read_text())


def evaluated(place: Path, folder: str, steps: Sequence[int]) -> dict[str, Any]:
    """What ``sums`` says of base and every checkpoint: name -> (accuracy, tokens, difference)."""
    words = [f"{folder}@{step}" for step in steps]
    found = answer(place, "evaluate", *words, "eval=sums")
    against = {one["other"]: one for one in found["differences"]["sums"] if one["claimed"] and one["one"] == "base"}
    return {name: (of["accuracy"], of["tokens"], against.get(name)) for name, of in found["results"]["sums"].items()}


def curve(place: Path, part: str, steps: int, every: int) -> None:
    """Prints base, checkpoints, chosen and last of a run."""
    run = train(
        place, folder := f"outputs/{part}", [*PARTS[part], f"method.max_steps={steps}", f"held_out.every={every}"]
    )
    chosen = run["selection"]
    print(f"\n## {part}: {' '.join((*PARTS[part], *CHOICE))}\n")
    print("| step | accuracy on `sums` | difference from base, paired | on the rows that choose |")
    print("|---|---:|---:|---:|")
    measured = {one["step"]: one["mean"] for one in chosen["measured"]}
    checkpoints = [step for step in measured if step]
    for name, (accuracy, _, difference) in evaluated(place, folder, checkpoints).items():
        step = 0 if name == "base" else int(name.rpartition("@")[2])
        marks = ["base"] * (step == 0) + ["**best**"] * (step == chosen["step"]) + ["last"] * (step == checkpoints[-1])
        told = interval(difference, "+") if difference else ""
        print(f"| {step} {', '.join(marks)} | {interval(accuracy)} | {told} | {measured[step]:.3f} |")
    print(f"\n{chosen['why']}; optimism {chosen['optimism']:.3f}.")
    cost = chosen["cost"]
    print(f"Measuring took {cost['seconds']:.1f} s, {100 * cost['share']:.0f}% of the run until training ended.")


def length(place: Path, steps: int, every: int, correct: float) -> None:
    """Prints three ways to choose, for three seeds of a reward that pays for length."""
    words = [*PARTS["length"], *paid_for_length(place), f"method.max_steps={steps}", f"held_out.every={every}"]
    words.append(f"reward.terms.correct.weight={correct:g}")
    print(f"\n## length: {' '.join(words)}\n")
    print("| seed | chosen by | step | trained reward | accuracy on `sums` | tokens |")
    print("|---|---|---:|---:|---:|---:|")
    found: dict[str, list[float]] = {}
    for seed in range(3):
        run = train(place, folder := f"outputs/length{correct:g}_{seed}", [*words, f"seed={seed}"])
        logged = [json.loads(line) for line in (place / folder / "metrics.jsonl").read_text().splitlines()]
        rewards = {line["step"]: line["reward"] for line in logged if "reward" in line}
        checkpoints = [one["step"] for one in run["selection"]["measured"] if one["step"]]
        trained = {step: fmean(rewards[n] for n in range(step - every + 1, step + 1)) for step in checkpoints}
        on_task = evaluated(place, folder, checkpoints)
        ways = {"the task": run["selection"]["step"], "being last": checkpoints[-1]}
        ways["the highest trained reward"] = max(trained, key=lambda step: trained[step])
        for way, step in ways.items():
            accuracy, tokens, _ = on_task[f"{folder}@{step}" if step else "base"]
            found.setdefault(way, []).append(accuracy["mean"])
            paid = f"{trained[step]:.3f}" if step else ""
            print(f"| {seed} | {way} | {step} | {paid} | {interval(accuracy)} | {tokens['mean']:.1f} |")
    means = ", ".join(f"{way} {fmean(values):.3f}" for way, values in found.items())
    print(f"\nMean accuracy of three seeds, by what chose: {means}.")


def main() -> None:
    """Prints the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--correct", type=float, default=1.0)
    options = parser.parse_args()
    place = project(options.folder)
    print(f"{platform.machine()}, torch {version('torch')}, trl {version('trl')}; {options.steps} steps")
    for part in options.parts:
        if part == "length":
            length(place, options.steps, options.every, options.correct)
        else:
            curve(place, part, options.steps, options.every)


if __name__ == "__main__":
    main()
