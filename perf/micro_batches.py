"""Micro-batches sorted by length against TRL's shuffled ones: padding that is computed, and the time of the passes.

Runs ``python -m rlexp`` with several passes a step in turns, as it is and with TRL's own split, on this machine. That
both learn the same is checked: rewards and gradient norms of every step must agree to 1e-4.

Usage: python perf/micro_batches.py [ROUNDS [OVERRIDES ...]]
"""

import helped  # isort: skip  # noqa: F401
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SIDES = ("trl", "sorted")
DEFAULT = ["model=smollm2_135m", "method.prompts_per_step=4", "method.num_generations=4", "method.max_steps=3"]
DEFAULT += ["method.max_completion_length=96"]
# The base model earns nothing else, and without a gradient that both sides learn the same would say nothing.
DEFAULT += ["reward=format+correct+length", "reward.terms.length.params.limit=96"]
COMMON = ["hardware.sequences_per_device=4", "held_out.rows=0", "preflight.smoke=never", "health=off"]


def side(name: str, folder: Path, overrides: list[str]) -> None:
    """One run in this process; leaves the share of padding of every step beside its record."""
    from rlexp.backend.patches import micro_batches

    split = micro_batches.resplit
    shares: list[list[float]] = []

    def recorded(batches: list[dict]) -> list[dict]:
        made = split(batches) if name == "sorted" else batches
        columns = sum(b["prompt_mask"].numel() + b["completion_mask"].numel() for b in made)
        tokens = sum(int(b["prompt_mask"].sum() + b["completion_mask"].sum()) for b in made)
        shares.append([columns, tokens])
        return made

    micro_batches.resplit = recorded
    if name == "trl":
        micro_batches._passes = lambda trainer, compute: compute
    sys.argv = ["rlexp", *COMMON, *overrides, f"hydra.run.dir={folder}"]
    from rlexp.__main__ import main

    try:
        main()
    finally:
        (folder / "columns.json").write_text(json.dumps(shares))


def measured(name: str, folder: Path, overrides: list[str]) -> dict:
    """Figures of one run, the first step left out."""
    command = [sys.executable, __file__, "side", name, str(folder), *overrides]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    took = json.loads((folder / "manifest.json").read_text())["step_time_s"]
    columns, tokens = (sum(part) for part in zip(*json.loads((folder / "columns.json").read_text()), strict=True))
    return {
        "learned": [(line["reward"], line["grad_norm"]) for line in lines if "reward" in line],
        "passes": took["forward_backward"],
        "logprobs": took.get("logprobs", 0.0),
        "step": took["step"],
        "padding": 1 - tokens / columns,
    }


def main(rounds: int, overrides: list[str]) -> None:
    """Measures in turns and prints medians (min to max)."""
    found: dict[str, list[dict]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name in SIDES if number % 2 else SIDES[::-1]:
                found[name].append(measured(name, Path(folder) / f"{name}-{number}", overrides))
    first = found["trl"][0]["learned"]
    assert any(norm > 1e-3 for _, norm in first), "no gradient to compare: choose a reward that the model earns"
    for run in (run for runs in found.values() for run in runs):
        for mine, theirs in zip(run["learned"], first, strict=True):
            assert all(abs(a - b) <= 1e-4 * max(1.0, abs(b)) for a, b in zip(mine, theirs, strict=True)), "not equal"
    print(f"{' '.join(COMMON)} {' '.join(overrides)}; {rounds} runs a side in turns\n")
    print("| split | padding computed | forward/backward s a step | old and reference s | step s |")
    print("|---|---:|---:|---:|---:|")
    for name in SIDES:
        cells = [f"{100 * statistics.median(run['padding'] for run in found[name]):.0f}%"]
        for key in ("passes", "logprobs", "step"):
            values = [run[key] for run in found[name]]
            cells.append(f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["side"]:
        side(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 3, sys.argv[2:] or DEFAULT)
