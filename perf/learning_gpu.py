"""The learning runs: recipes trained through the command line on one GPU, and a report made of their run folders.

Leaves at most eight small files in OUT: report.md, curve.svg, and for each of up to two recipes its lock, its manifest
and its reward curve as CSV. The report shows held-out accuracy before and after with intervals, what a copy of the
question would score, the first held-out completions before and after, seconds and versions.

Usage, from the project folder (the model and the data of the recipes prepared):
  python perf/learning_gpu.py OUT                       # one recipe after the other
  python perf/learning_gpu.py OUT --together            # both on one GPU, the second once the first one trains
  python perf/learning_gpu.py OUT --typed rollout=unsloth method.max_steps=100
  python perf/learning_gpu.py OUT --report RUN [RUN]    # only the report, of finished runs
  python perf/learning_gpu.py OUT --recipes sums_grpo --typed hardware=cpu rollout=generate   # tries it on a CPU
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
RECIPES = ["smollm2_arithmetic", "smollm2_chain_sum"]
TYPED = ["rollout=colocate", "preflight.smoke=never"]
"""What is typed beside a recipe. No smoke: the runs are short, and it would start an engine of its own."""
SMOOTHED = 10
"""Steps that a point of the curve is a mean of."""
SAMPLES = 6
KEPT = ("status", "identity", "overrides", "git", "machine", "timings_s", "step_time_s", "held_out", "health")
"""What is kept of a manifest."""
COLUMNS = (
    "step",
    "reward",
    "rewards/final_number/mean",
    "reward_std",
    "frac_reward_zero_std",
    "completions/mean_length",
    "completions/clipped_ratio",
    "entropy",
    "grad_norm",
)
COLOURS = ("#1f77b4", "#d62728")


def code(manifest: dict[str, Any]) -> dict[str, Any]:
    """The commit, and whether the tree was changed; not what every untracked file is called."""
    found = manifest.get("git") or {}
    return {key: found[key] for key in ("sha", "dirty") if key in found}


def train(recipes: list[str], typed: list[str], together: bool, until: float) -> list[Path]:
    """Runs the recipes; the folders of those that finished. What still runs when the time is up is interrupted."""
    folders = [ROOT / "outputs" / f"learning-{time.time():.0f}-{recipe}" for recipe in recipes]
    running: list[subprocess.Popen[bytes]] = []
    for recipe, folder in zip(recipes, folders, strict=True):
        words = [f"experiment={recipe}", *typed, f"hydra.run.dir={folder}"]
        print(f"python -m rlexp {' '.join(words)}", flush=True)
        process = subprocess.Popen([sys.executable, "-m", "rlexp", *words], cwd=ROOT)
        running.append(process)
        # A second engine starts once the first one holds its memory: each measures what is free while it starts.
        while process.poll() is None and time.time() < until:
            if together and (folder / "metrics.jsonl").exists():
                break
            time.sleep(0.5)
    for process in running:
        try:
            process.wait(max(0.0, until - time.time()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    ended = [process.returncode == 0 for process in running]
    for folder, fine in zip(folders, ended, strict=True):
        if not fine:
            print(f"{folder.name} did not finish", file=sys.stderr)
    return [folder for folder, fine in zip(folders, ended, strict=True) if fine]


def read(folder: Path) -> dict[str, Any]:
    """What a run folder says: manifest, lock, one line a step, held-out rows with their answers."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {
        "manifest": json.loads((folder / "manifest.json").read_text()),
        "lock": yaml.safe_load((folder / "run.lock.yaml").read_text()),
        "steps": [line for line in lines if "reward" in line],
        "held_out": json.loads((folder / "held_out.json").read_text()),
    }


def scored(run: dict[str, Any]) -> dict[str, list[float]]:
    """One score a held-out row of the completions before and after, and of a copy of the question.

    By final_number alone where that is the run's reward or a term of it; else the combined rewards, nothing copied.
    """
    config, rows = run["lock"]["config"], run["held_out"]
    if "final_number" not in config["reward"]["terms"]:
        return {when: [row[f"reward_{when}"] for row in rows] for when in ("before", "after")}
    import pyarrow.parquet as pq

    from rlexp.inputs.script import load_script

    test = pq.ParquetFile(ROOT / config["dataset"]["path"] / "test.parquet").read(["answer"]).to_pylist()
    answers = [row["answer"] for row in test[: len(rows)]]
    score = load_script(ROOT / "rewards/final_number.py").score
    return {key: score([row[key] for row in rows], answers) for key in ("before", "after", "prompt")}


def interval(values: list[float]) -> str:
    """Mean and the half width of its 95% interval."""
    return f"{statistics.fmean(values):.3f} ± {1.96 * statistics.pstdev(values) / len(values) ** 0.5:.3f}"


def accuracy(name: str, run: dict[str, Any]) -> str:
    """The run's row of the table."""
    scores, took, steps = scored(run), run["manifest"]["timings_s"], run["steps"]
    before, after = scores["before"], scores["after"]
    change = [b - a for a, b in zip(before, after, strict=True)]
    first, last = (statistics.fmean(shown(step) for step in part) for part in (steps[:SMOOTHED], steps[-SMOOTHED:]))
    cells = [name, str(len(before)), *map(interval, (before, after, change))]
    cells += [f"{statistics.fmean(scores['prompt']):.3f}" if "prompt" in scores else "", f"{first:.3f} -> {last:.3f}"]
    cells += [str(len(steps)), f"{run['manifest']['step_time_s']['step']:.2f}"]
    cells += [f"{took[lap]:.0f}" for lap in ("first_step_ends", "trained", "total")]
    return "| " + " | ".join(cells) + " |"


def shown(step: dict[str, Any]) -> float:
    """What a step's completions scored: by final_number alone where it is a term, else their reward."""
    return step.get("rewards/final_number/mean", step["reward"])


def report(runs: dict[str, dict[str, Any]]) -> str:
    """The Markdown report."""
    heads = ["run", "held-out rows", "before", "after", "change, paired", "question copied"]
    heads += [f"sampled in training, first and last {SMOOTHED} steps", "steps", "step s", "first step ends s"]
    heads += ["trained s", "total s"]
    lines = ["# Learning runs", "", "| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    lines += [accuracy(name, run) for name, run in runs.items()]
    lines += [
        "",
        "Mean reward of one held-out completion a question, with 95% intervals. Before: the same model with its",
    ]
    lines += ["adapter switched off. The held-out questions are not among those trained on.", "", "![](curve.svg)"]
    for name, run in runs.items():
        manifest, lock = run["manifest"], run["lock"]
        config = lock["config"]
        lines += ["", f"## {name}", "", "```", "python -m rlexp " + " ".join(manifest["overrides"]), "```", ""]
        told = {
            "identity": manifest["identity"],
            "code": json.dumps(code(manifest)),
            "machine": json.dumps(manifest["machine"]),
            "versions": ", ".join(f"{key} {value}" for key, value in lock["versions"].items()),
            "held-out temperature": config["held_out"]["temperature"],
            "a step": f"{config['method']['prompts_per_step']} prompts x {config['method']['num_generations']}",
            "learning rate": config["method"]["learning_rate"],
            "rollout": config["rollout"]["name"],
            "health": json.dumps(manifest["health"]) if manifest["health"] else "nothing was said",
        }
        lines += [f"- {key}: {value}" for key, value in told.items()]
        lines += ["", f"The first {SAMPLES} held-out questions:", "", "| question | before | | after | |"]
        lines += ["|---|---|---:|---|---:|"]
        for item in run["held_out"][:SAMPLES]:
            cells = [item["prompt"], item["before"], item["reward_before"], item["after"], item["reward_after"]]
            lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " / ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def curve(runs: dict[str, dict[str, Any]]) -> str:
    """An SVG of the score while training, a line a run, every point the mean of SMOOTHED steps."""
    width, height, left, top = 640, 320, 46, 20
    most = max(len(run["steps"]) for run in runs.values())
    high = max([1.0, *(shown(step) for run in runs.values() for step in run["steps"])])

    def place(step: float, reward: float) -> tuple[float, float]:
        return left + (width - left - 16) * step / most, top + (height - top - 36) * (1 - reward / high)

    font = 'font-family="sans-serif" font-size="12"'
    drawn = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {font}>']
    drawn += [f'<rect width="{width}" height="{height}" fill="white"/>']
    for part in range(5):
        (x0, y), (x1, _) = place(0, high * part / 4), place(most, 0)
        drawn += [f'<line x1="{x0}" y1="{y:.1f}" x2="{x1}" y2="{y:.1f}" stroke="#ddd"/>']
        drawn += [f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{high * part / 4:.2f}</text>']
        x, y = place(most * part / 4, 0)
        drawn += [f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{most * part / 4:.0f}</text>']
    for number, (name, run) in enumerate(runs.items()):
        rewards = [shown(step) for step in run["steps"]]
        smooth = [statistics.fmean(rewards[max(0, n - SMOOTHED) : n]) for n in range(1, len(rewards) + 1)]
        points = " ".join("{:.1f},{:.1f}".format(*place(n, value)) for n, value in enumerate(smooth, start=1))
        colour = COLOURS[number % len(COLOURS)]
        drawn += [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>']
        drawn += [f'<text x="{left + 10}" y="{top + 14 + 16 * number}" fill="{colour}">{name}</text>']
    bottom = f"step (mean score of the completions sampled in the last {SMOOTHED} steps)"
    drawn += [f'<text x="{width / 2}" y="{height - 4}" text-anchor="middle">{bottom}</text>', "</svg>"]
    return "\n".join(drawn) + "\n"


def write(folders: list[Path], out: Path) -> None:
    """Writes the report and the files beside it."""
    runs = {folder.name.rpartition("-")[2] or folder.name: read(folder) for folder in folders}
    out.mkdir(parents=True, exist_ok=True)
    for folder, (name, run) in zip(folders, runs.items(), strict=True):
        shutil.copyfile(folder / "run.lock.yaml", out / f"{name}.lock.yaml")
        kept = {key: run["manifest"][key] for key in KEPT if key in run["manifest"]} | {"git": code(run["manifest"])}
        (out / f"{name}.manifest.json").write_text(json.dumps(kept, indent=1) + "\n")
        with (out / f"{name}.csv").open("w", newline="") as stream:
            table = csv.DictWriter(stream, COLUMNS, extrasaction="ignore", lineterminator="\n")
            table.writeheader()
            table.writerows(run["steps"])
    (out / "curve.svg").write_text(curve(runs))
    (out / "report.md").write_text(report(runs))
    print("\n".join(report(runs).splitlines()[:6]))


def main() -> int:
    """Trains, then writes the report of what finished; 1 where a run did not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--typed", nargs="+", default=[], help=f"typed behind {' '.join(TYPED)}")
    parser.add_argument("--together", action="store_true", help="the recipes share the GPU")
    parser.add_argument("--limit", type=float, default=560, help="seconds after which what runs is interrupted")
    parser.add_argument("--report", nargs="+", type=Path, default=[], help="run folders: nothing is trained")
    options = parser.parse_args()
    typed = [word for word in TYPED if word.partition("=")[0] not in {w.partition("=")[0] for w in options.typed}]
    folders = options.report or train(
        options.recipes, [*typed, *options.typed], options.together, time.time() + options.limit
    )
    if folders:
        write(folders, options.out)
    return int(len(folders) < len(options.report or options.recipes))


if __name__ == "__main__":
    sys.exit(main())
