"""Does a run whose tokens vLLM samples go on, after a kill, as if nothing had happened? On one GPU.

For each rollout: six steps, saved after the third; the same, killed (SIGKILL) once its checkpoint is there; then
``resume=``. Printed for every later step: the share of completions that are equal token for token in both, and the mean
distance between vLLM's log-probabilities of what it sampled and the trainer's, which would grow if the engine had other
weights than those that were resumed.

Usage, from the project folder:
  python perf/resume_gpu.py                                   # colocate and unsloth, tiny
  python perf/resume_gpu.py --shape 135m --rollouts colocate --limit 300
  python perf/resume_gpu.py --rollouts generate --hardware cpu      # tries the script on a CPU
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpo_gpu
import pyarrow.parquet as pq

STEPS, SAVED = 6, 3
GAP = "sampling_logp_difference/mean"


def typed(options: argparse.Namespace, rollout: str) -> list[str]:
    """The overrides of every run of a rollout."""
    said = [f"hardware={options.hardware}", f"rollout={rollout}", f"method.max_steps={STEPS}"]
    said += [f"method.save_steps={SAVED}", "method.learning_rate=1e-3", "preflight.smoke=never", "held_out.rows=0"]
    if rollout != "generate":
        said += ["rollout.enforce_eager=true", "rollout.gpu_memory_utilization=0.3"]
    if options.shape != "tiny":
        folder = options.work / "models" / options.shape
        said += [f"model.path={folder}", "model.prepare=null", "dataset.gold=null", "health=off"]
    return said


def run(words: list[str], options: argparse.Namespace, until: float, kill_at: Path | None = None) -> int:
    """Runs a command line; where ``kill_at`` is given, kills it as soon as that folder is there.

    Returns:
        its exit code.
    """
    environment = grpo_gpu.surroundings()
    log = (options.work / "resume.log").open("a")
    process = subprocess.Popen(
        *([sys.executable, "-m", "rlexp", *words],),
        **{"cwd": options.work / "project", "env": environment, "stdout": log, "stderr": subprocess.STDOUT},
        start_new_session=True,
    )
    while process.poll() is None:
        if (kill_at and kill_at.is_dir()) or time.time() > until:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.005)
    return process.wait()


def completions(folder: Path, step: int) -> list[tuple[Any, ...]]:
    """The prompt, text and length of every completion of a step."""
    rows = pq.read_table(folder / f"completions/step-{step:06d}.parquet").to_pydict()
    return list(zip(rows["prompt"], rows["completion"], rows["tokens"], strict=True))


def gaps(folder: Path) -> dict[int, float]:
    """Step -> the distance between the sampler's log-probabilities and the trainer's; none without vLLM."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in lines for key in line if key.endswith(GAP)}


def main() -> None:
    """Reads the command line, runs, and prints a JSON line for every rollout and step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="tiny", choices=grpo_gpu.work.SHAPES)
    parser.add_argument("--rollouts", default="colocate,unsloth")
    parser.add_argument("--hardware", default="auto")
    parser.add_argument("--work", type=Path, default=Path("/tmp/rlexp-benchmark"))
    parser.add_argument("--limit", type=float, default=560, help="seconds for all")
    options = parser.parse_args()
    until, options.work = time.time() + options.limit, options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.shape != "tiny" and not (options.work / "models" / options.shape).is_dir():
        made = grpo_gpu.maker(options.shape, options.work / "models" / options.shape)
        subprocess.run(made, env=grpo_gpu.surroundings(), check=True)
    project = options.work / "project"
    grpo_gpu.copied(project)
    grpo_gpu.prepared(project, grpo_gpu.surroundings(), [])
    for rollout in options.rollouts.split(","):
        words, began = typed(options, rollout), time.time()
        whole, killed = (project / f"outputs/{name}_{rollout}" for name in ("whole", "killed"))
        codes = [run([f"hydra.run.dir={whole}", *words], options, until)]
        at = killed / f"checkpoints/checkpoint-{SAVED}"
        codes.append(run([f"hydra.run.dir={killed}", *words], options, until, at))
        codes.append(run([f"resume={killed.relative_to(project)}"], options, until))
        said = {"rollout": rollout, "shape": options.shape, "exit codes": codes, "s": round(time.time() - began, 1)}
        print(json.dumps(said), flush=True)
        if codes != [0, -signal.SIGKILL, 0]:
            print((options.work / "resume.log").read_text()[-2000:], flush=True)
            continue
        apart = gaps(whole), gaps(killed)
        for step in range(1, STEPS + 1):
            pairs = list(zip(completions(whole, step), completions(killed, step), strict=True))
            line = {"step": step, "rows": len(pairs), "equal": sum(a == b for a, b in pairs) / len(pairs)}
            print(json.dumps({**line, "gap": [found.get(step) for found in apart]}), flush=True)


if __name__ == "__main__":
    main()
