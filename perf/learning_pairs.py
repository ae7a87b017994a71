"""Learning at equal wall time: the recipe smollm2_arithmetic by rlexp and by a script of TRL and vLLM, seed by seed.

Both train the same rows with the same rewards and trainer arguments; a second counts from the moment at which the
command was given, so imports, model, engine and compilers are in it. ``by hand`` is TRL with vLLM in the process (with
transformers' generate on a CPU); it records, locks and checks nothing. Each side keeps its compiled kernels in a folder
of its own, empty before its first seed. The reward of a step is the mean of what it sampled.

Usage, from the project folder:
  python perf/learning_pairs.py OUT                                      # three seeds, 100 steps
  CUDA_VISIBLE_DEVICES=0 python perf/learning_pairs.py A --sides rlexp   # a side a GPU, at the same time, and then
  python perf/learning_pairs.py OUT --of A B                             # both of them in one table
  python perf/learning_pairs.py OUT --seeds 0 --steps 6 --model tiny     # tries it on a CPU
Leaves OUT/learning_pairs.csv (side, seed, step, seconds, reward) and OUT/learning_pairs.svg, and prints a table.
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import argparse
import csv
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SIDES = ("by hand", "rlexp")
PROMPTS, GENERATIONS, RATE, TOKENS, LENGTH = 8, 16, 2e-4, 48, 256
"""What experiment=smollm2_arithmetic says of a step."""
SMOOTHED = 10
"""Steps that a figure of the table is a mean of."""
LEVELS = (0.25, 0.5, 0.75)
"""Rewards whose first time is told."""


def by_hand(spec: dict[str, Any]) -> None:
    """Trains with TRL; writes (seconds since the command, reward) of every step to ``spec["out"]``."""
    import torch
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, TrainerCallback

    sys.path.insert(0, "rewards")
    import final_number
    import length

    def final_reward(completions: Any, answer: Any, **_: Any) -> Any:
        """Scores the last number."""
        return final_number.score([turns[-1]["content"] for turns in completions], answer)

    def length_reward(completion_ids: Any, **_: Any) -> Any:
        """Scores the length."""
        return length.score(completion_ids, limit=TOKENS, margin=8)

    ends: list[float] = []

    class Watch(TrainerCallback):
        """Notes when a step ended."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Asks the clock."""
            ends.append(time.time() - spec["began"])

    cuda = torch.cuda.is_available()
    device: dict[str, Any] = {"use_cpu": True, "bf16": False}
    if cuda:
        vllm = {"vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.3, "vllm_max_model_length": LENGTH}
        device = {"bf16": True, "use_vllm": True, **vllm}
    trainer = trl.GRPOTrainer(
        model=spec["model"],
        processing_class=AutoTokenizer.from_pretrained(spec["model"]),
        reward_funcs=[final_reward, length_reward],
        peft_config=LoraConfig(
            r=16,
            lora_alpha=32,
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        ),
        args=trl.GRPOConfig(
            output_dir=str(Path(spec["out"]).parent / "by_hand"),
            reward_weights=[1.0, 0.25],
            per_device_train_batch_size=PROMPTS * GENERATIONS,
            num_generations=GENERATIONS,
            max_completion_length=TOKENS,
            max_steps=spec["steps"],
            learning_rate=RATE,
            lr_scheduler_type="constant",
            beta=0.0,
            temperature=1.0,
            logging_steps=1,
            save_strategy="no",
            gradient_checkpointing=False,
            model_init_kwargs={"dtype": "bfloat16" if cuda else "float32"},
            seed=spec["seed"],
            data_seed=spec["seed"],
            report_to="none",
            disable_tqdm=True,
            **device,
        ),
        train_dataset=Dataset.from_parquet(f"{spec['data']}/train.parquet").select_columns(["prompt", "answer"]),
        callbacks=[Watch()],
    )
    trainer.train()
    rewards = [one["reward"] for one in trainer.state.log_history if "reward" in one]
    Path(spec["out"]).write_text(json.dumps(list(zip(ends, rewards, strict=True))))


def of_record(folder: Path, began: float) -> list[tuple[float, float]]:
    """(seconds since the command, reward) of every step of a run of ours."""
    manifest = json.loads((folder / "manifest.json").read_text())
    seconds = manifest["started_unix"] - began + manifest["timings_s"]["first_step_ends"]
    steps: list[tuple[float, float]] = []
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if "reward" in entry:
            seconds += entry["timing"]["step_time/step"] if steps else 0.0
            steps.append((seconds, entry["reward"]))
    return steps


def trained(side: str, seed: int, options: argparse.Namespace, out: Path) -> list[tuple[float, float]]:
    """Trains one seed of a side in a process of its own.

    Raises:
        SystemExit: it failed; the end of what it said is printed.
    """
    cache, folder = out / "caches" / side.replace(" ", "_"), out / "runs" / f"{side.replace(' ', '_')}_{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kept = {"VLLM_CACHE_ROOT": "vllm", "TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), **{k: str(cache / v) for k, v in kept.items()}}
    began = time.time()
    if side == "rlexp":
        typed = ["experiment=smollm2_arithmetic", f"model={options.model}", f"seed={seed}", "held_out.rows=0"]
        typed += [f"method.max_steps={options.steps}", "preflight.smoke=never", f"hydra.run.dir={folder}"]
        command = [sys.executable, "-m", "rlexp", *typed, *options.typed]
    else:
        spec = {"began": began, "seed": seed, "steps": options.steps, "out": str(folder / "steps.json")}
        spec |= {"model": f"models/{options.model}", "data": options.data}
        command = [sys.executable, __file__, str(out), "--by-hand", json.dumps(spec)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise SystemExit(f"{side}, seed {seed}:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return of_record(folder, began) if side == "rlexp" else json.loads((folder / "steps.json").read_text())


def smoothed(steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Every step with the mean reward of the last SMOOTHED."""
    means = [statistics.mean(r for _, r in steps[max(0, n - SMOOTHED + 1) : n + 1]) for n in range(len(steps))]
    return [(seconds, mean) for (seconds, _), mean in zip(steps, means, strict=True)]


def told(runs: dict[tuple[str, int], list[tuple[float, float]]]) -> str:
    """Markdown, a row a run: when its first and last step ended, when it reached what, where it was at equal times."""
    shortest = min(steps[-1][0] for steps in runs.values())
    times = [round(shortest * part) for part in (0.5, 0.75, 1.0)]
    heads = ["side", "seed", "first step ends, s", "a step, s", "last step ends, s"]
    heads += [f"reward {level:g} at, s" for level in LEVELS] + [f"reward at {seconds} s" for seconds in times]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for (side, seed), steps in sorted(runs.items()):
        means = smoothed(steps)
        step = statistics.median(b[0] - a[0] for a, b in itertools.pairwise(steps)) if steps[1:] else 0.0
        cells = [side, str(seed), f"{steps[0][0]:.1f}", f"{step:.3f}", f"{steps[-1][0]:.1f}"]
        reached = (next((s for s, mean in means if mean >= level), None) for level in LEVELS)
        cells += ["" if seconds is None else f"{seconds:.1f}" for seconds in reached]
        cells += [f"{next((m for s, m in reversed(means) if s <= t), float('nan')):.3f}" for t in times]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def drawn(runs: dict[tuple[str, int], list[tuple[float, float]]], file: Path) -> None:
    """The smoothed rewards against the seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (side, seed), steps in sorted(runs.items()):
        colour = f"C{SIDES.index(side)}"
        label = side if seed == min(s for _, s in runs) else None
        axes.plot(*zip(*smoothed(steps), strict=True), color=colour, label=label, linewidth=1)
    axes.set(xlabel="seconds since the command", ylabel=f"sampled reward, mean of {SMOOTHED} steps")
    axes.legend()
    figure.savefig(file)


def kept(runs: dict[tuple[str, int], list[tuple[float, float]]], out: Path) -> None:
    """Writes every step of every run."""
    with (out / "learning_pairs.csv").open("w", newline="") as file:
        rows = [(*run, n, f"{s:.2f}", f"{r:.5f}") for run, steps in runs.items() for n, (s, r) in enumerate(steps, 1)]
        csv.writer(file).writerows([("side", "seed", "step", "seconds", "reward"), *rows])


def read(folders: list[Path]) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """What earlier calls left."""
    runs: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for folder in folders:
        with (folder / "learning_pairs.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                runs.setdefault((row["side"], int(row["seed"])), []).append(
                    (float(row["seconds"]), float(row["reward"]))
                )
    return runs


def measured(options: argparse.Namespace, out: Path) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """Trains seed by seed, and says a line after each."""
    until = time.time() + options.limit
    wanted = [side for side in SIDES if side in options.sides.split(",")]
    typed = ["experiment=smollm2_arithmetic", f"model={options.model}", *options.typed]
    subprocess.run([sys.executable, "-m", "rlexp", "prepare", *typed], check=True, stdout=subprocess.DEVNULL)
    runs: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for number, seed in enumerate(int(text) for text in options.seeds.split(",")):
        for side in wanted if number % 2 == 0 else wanted[::-1]:
            if time.time() > until:
                continue
            runs[side, seed] = trained(side, seed, options, out)
            said = {"side": side, "seed": seed, "first": runs[side, seed][0], "last": runs[side, seed][-1]}
            print(json.dumps(said), flush=True)
            kept(runs, out)
    return runs


def main() -> None:
    """Reads the command line, trains seed by seed, and tells after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--model", default="smollm2_135m")
    parser.add_argument("--data", default="data/sums_to_60")
    parser.add_argument("--limit", type=float, default=570, help="seconds after which no further run begins")
    parser.add_argument("--sides", default=",".join(SIDES), help="only one of the two")
    parser.add_argument("--of", type=Path, nargs="+", help="trains nothing: OUT folders of earlier calls")
    parser.add_argument("--by-hand", help=argparse.SUPPRESS)
    parser.add_argument("typed", nargs="*", help="further overrides of ours")
    options = parser.parse_intermixed_args()
    if options.by_hand:
        by_hand(json.loads(options.by_hand))
        return
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    runs = read(options.of) if options.of else measured(options, out)
    kept(runs, out)
    drawn(runs, out / "learning_pairs.svg")
    print(f"\n{told(runs)}")


if __name__ == "__main__":
    main()
