"""Evaluation on a GPU: vLLM on every prompt against transformers' ``generate`` on a part of them, through the command
line.

Printed: completions per second of both and their ratio; the paired difference of the two on the common prompts with
its 95% interval (the prompt is the cluster); and, greedy, the share of completions with identical texts.

Usage, from the project folder:
  python perf/evaluate_gpu.py prepare FOLDER                    # a project with a short run, on a CPU
  python perf/evaluate_gpu.py measure FOLDER --hardware h200    # on the GPU
  python perf/evaluate_gpu.py measure FOLDER --hardware cpu --engines transformers --rows 64 --part 32    # tries it
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rlexp.evaluate.statistics.compare import paired

ROOT = Path(__file__).parents[1]
PROJECT = ("conf", "rewards", "data_prep", "eval", "models/tiny", "rewards.lock.yaml", ".gitignore", ".dvcignore")
DATA = "name: many_sums\ntype: prompt_only\nprepare: arithmetic\n"
DATA += "params: {{train: 200, test: {test}, seed: 1, low: 0, high: 120}}\n"
TASK = "version: 1\ndataset: many_sums\nscorer: format+correct\nright: correct\nrows: {rows}\n"
TASK += "samples: {samples}\ntemperature: {temperature}\n"


def prepare(folder: Path, prompts: int) -> None:
    """Makes a project with a run of 30 steps, and the tasks."""
    for name in PROJECT:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, target)
    (folder / "conf/dataset/many_sums.yaml").write_text(DATA.format(test=2 * prompts + 8))
    subprocess.run(
        [sys.executable, "-m", "rlexp", "hardware=cpu", "method.max_steps=30", "preflight.smoke=never"]
        + ["held_out.rows=0", "hydra.run.dir=outputs/run"],
        cwd=folder,
        check=True,
    )


def evaluate(folder: Path, engine: str, hardware: str, rows: int, greedy: int, limit: float) -> dict[str, Any]:
    """One call of the command line: sampled and greedy."""
    for name, values in (("sampled", (rows, 4, 1.0)), ("greedy", (greedy, 1, 0.0))):
        text = TASK.format(rows=values[0], samples=values[1], temperature=values[2])
        (folder / f"eval/{name}.yaml").write_text(text)
    began = time.perf_counter()
    typed = ["evaluate", "outputs/run", "eval=sampled+greedy", f"eval.engine={engine}", f"hardware={hardware}"]
    done = subprocess.run(
        [sys.executable, "-m", "rlexp", *typed, "--json", "--again"],
        **{"cwd": folder, "stdout": subprocess.PIPE, "timeout": limit, "text": True},
    )
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stdout[-2000:]}")
    answer = json.loads(done.stdout)
    answer["wall_s"] = time.perf_counter() - began
    return answer


def samples(folder: Path, answer: dict[str, Any], task: str, subject: str) -> dict[int, list[dict[str, Any]]]:
    """Row -> its samples."""
    file = folder / "outputs/run/evaluation" / answer["samples"][task][subject]["file"]
    found: dict[int, list[dict[str, Any]]] = {}
    for one in pq.read_table(file).to_pylist():
        found.setdefault(one["row"], []).append(one)
    return found


def say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("prepare", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hardware", default="h200")
    parser.add_argument("--engines", default="vllm,transformers")
    parser.add_argument("--rows", type=int, default=4096, help="prompts of vLLM")
    parser.add_argument("--part", type=int, default=512, help="prompts of transformers")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds of one engine at most")
    options = parser.parse_args()
    if options.verb == "prepare":
        prepare(options.folder, options.rows)
        return
    answers = {}
    for engine in options.engines.split(","):
        rows = options.rows if engine == "vllm" else options.part
        answer = evaluate(options.folder, engine, options.hardware, rows, options.part, options.limit)
        answers[engine] = answer
        for one in answer["measured"]:
            number = len(samples(options.folder, answer, one["task"], one["subject"])) * (
                4 if one["task"] == "sampled" else 1
            )
            say(engine=engine, **one, completions=number, per_second=round(number / one["seconds"], 1))
        for subject, found in answer["results"]["sampled"].items():
            say(engine=engine, subject=subject, accuracy=found["accuracy"], reward=found["reward"]["mean"])
        say(engine=engine, wall_s=round(answer["wall_s"], 1))
    if len(answers) < 2:
        return
    for subject in answers["vllm"]["subjects"]:
        both = [samples(options.folder, answers[engine], "sampled", subject) for engine in ("transformers", "vllm")]
        common = [row for row in both[0] if row in both[1]]
        scores = [[[one["score.correct"] for one in side[row]] for row in common] for side in both]
        found = paired(*scores)
        say(subject=subject, common=len(common), difference=found.mean, low=found.low, high=found.high)
        both = [samples(options.folder, answers[engine], "greedy", subject) for engine in ("transformers", "vllm")]
        same = [both[0][row][0]["completion"] == both[1][row][0]["completion"] for row in both[0]]
        say(subject=subject, greedy=len(same), identical_texts=sum(same) / len(same))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(ROOT / "src"))
    main()
