"""What the framework costs: ``python -m rlexp`` against the same run written by hand (by_hand_grpo.py).

Runs both in turns, as whole commands, on this machine, and prints one table: seconds from the command to the first
training step, of which imports and model load (what Unsloth and TRL need anyway), and seconds a step. On a virtual
machine whose speed drifts by 10% between runs, whole steps cannot be told apart to 2%; what happens outside TRL's own
training_step (callbacks, logging, the optimizer) can, and rlexp adds nothing inside it but the rewards' wrapper. That
both do the same work is checked: the reward of every step must be equal.

Usage: python perf/startup_and_step.py [ROUNDS]
"""

import helped  # isort: skip  # noqa: F401
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
STEPS = 40


def by_hand() -> dict:
    """Timings of the hand-written script, in seconds since the command was given."""
    command = [sys.executable, "perf/by_hand_grpo.py", str(time.time()), str(STEPS)]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def framework(number: int) -> dict:
    """The same timings of ``python -m rlexp``, from its own record."""
    folder = ROOT / "outputs" / f"benchmark-{time.time():.0f}-{number}"
    began = time.time()
    arguments = [f"hydra.run.dir={folder}", f"method.max_steps={STEPS}", "held_out.rows=0"]
    subprocess.run([sys.executable, "-m", "rlexp", *arguments], cwd=ROOT, check=True, capture_output=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    offset = manifest["started_unix"] - began
    laps = {name: seconds + offset for name, seconds in manifest["timings_s"].items()}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    logged = [line for line in lines if "reward" in line]
    inside = sum(line["timing"]["step_time"] for line in logged)
    return {"laps": laps, "rewards": [line["reward"] for line in logged], "inside": inside}


def row(run: dict) -> dict[str, float]:
    """The figures of one run."""
    laps = run["laps"]
    needed = laps["loaded"] - laps.get("locked", laps.get("python", 0.0))
    return {
        "to first step": laps["first_step_begins"],
        "imports and load": needed,
        "rest": laps["first_step_begins"] - needed,
        "a step": (laps["trained"] - laps["first_step_begins"]) / STEPS,
        "of it outside TRL's training_step": (laps["trained"] - laps["first_step_begins"] - run["inside"]) / STEPS,
    }


def main(rounds: int) -> None:
    """Measures in turns and prints medians (min to max)."""
    subprocess.run([sys.executable, "-m", "rlexp", "prepare"], cwd=ROOT, check=True, capture_output=True)
    runs: dict[str, list[dict]] = {"by hand": [], "rlexp": []}
    for number in range(rounds):
        # The order alternates: what a machine does beside this must not fall on one side only.
        for side in ("by hand", "rlexp") if number % 2 else ("rlexp", "by hand"):
            runs[side].append(by_hand() if side == "by hand" else framework(number))
            print(f"round {number + 1} {side}: {row(runs[side][-1])}", file=sys.stderr)
    same = all(run["rewards"] == runs["by hand"][0]["rewards"] for side in runs.values() for run in side)
    print(f"same reward at every one of {STEPS} steps in all {2 * rounds} runs: {same}\n")
    figures = {side: [row(run) for run in made] for side, made in runs.items()}
    names = list(figures["rlexp"][0])
    print("| seconds, median (min-max) | " + " | ".join(names) + " |")
    print("|---|" + "---:|" * len(names))
    middle = {}
    for side, made in figures.items():
        cells = []
        for name in names:
            values = [figure[name] for figure in made]
            middle[side, name] = statistics.median(values)
            cells.append(f"{middle[side, name]:.3f} ({min(values):.3f}-{max(values):.3f})")
        print(f"| {side} | " + " | ".join(cells) + " |")
    print(f"\nrlexp beyond imports and load, before the first step: {middle['rlexp', 'rest']:.2f} s", end="; ")
    print(f"by hand: {middle['by hand', 'rest']:.2f} s")
    print(f"a step, rlexp / by hand, as timed: {middle['rlexp', 'a step'] / middle['by hand', 'a step']:.3f}", end="; ")
    outside = "of it outside TRL's training_step"
    added = middle["rlexp", outside] - middle["by hand", outside]
    print(f"by what rlexp adds outside training_step: {1 + added / middle['by hand', 'a step']:.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
