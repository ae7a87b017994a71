"""The memory estimate against the peak that torch measures, point by point, on one GPU.

A point is a shape of ``sides/work.py`` (random weights, no hub needed), a length, a micro-batch and recomputation on or
off; each trains two GRPO steps (``rlexp.api.train``, the points of a shape one after another in one process), sampling
few tokens with transformers' generate, and reads ``memory_gib`` of its manifest. Sequences are made as long as the
estimate takes them to be: the prompts are opened by a text that fills them up.

Usage, from the project folder:
  python perf/memory_gpu.py 135m 4b                     # micro-batch 4, 8, 16, 32, recomputation on and off
  python perf/memory_gpu.py 4b --micro 8,16 --loaders unsloth,transformers --limit 500
  python perf/memory_gpu.py tiny --micro 4              # tries the script on a CPU, where nothing is measured
The first point of a shape takes about 60 s on an H100, the others 10 to 20; a line is printed after each, a table at
the end; ``--limit`` bounds them all.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpo_gpu
import work  # of sides/, which grpo_gpu puts on the path

GROUP = 4
"""Completions of a prompt; a step is one micro-batch."""
FEW = 8
"""Tokens that are sampled."""
QUESTION = 40
"""Tokens left for the template and the question itself."""
COLUMNS = ("weights", "trained", "activations", "logits", "cache", "overhead")


def filler(model: Path, tokens: int) -> str:
    """A text of about so many tokens of the model's tokenizer."""
    from tokenizers import Tokenizer

    tokenizer, sentence = Tokenizer.from_file(str(model / "tokenizer.json")), "1 + 1 = 2 "
    each = len(tokenizer.encode(sentence * 10, add_special_tokens=False).ids) / 10
    return (sentence * int(max(tokens, 0) / each)).strip()


@dataclass(frozen=True)
class Point:
    """What one measurement trains."""

    shape: str
    loader: str
    full: bool
    tokens: int
    micro: int
    recomputed: bool

    @property
    def process(self) -> tuple[str, str, bool]:
        """The points of equal ones run one after the other in one process: what Unsloth rewrites follows these."""
        return self.shape, self.loader, self.full

    @property
    def name(self) -> str:
        """That of its run folder."""
        parts = [self.shape, self.loader, "full" if self.full else "lora", self.tokens, self.micro]
        return "-".join(map(str, [*parts, "on" if self.recomputed else "off"]))


def overrides(point: Point, folder: Path, options: argparse.Namespace) -> list[str]:
    """The command line of a point."""
    model, tokens = options.work / "models" / point.shape, point.tokens
    return [
        f"hydra.run.dir={folder}",
        f"model.path={model}",
        "model.prepare=null",
        f"model.full_finetuning={str(point.full).lower()}",
        f"model.max_seq_length={tokens}",
        f'model.system_prompt="{filler(model, tokens - FEW - QUESTION)}"',
        f"hardware={options.hardware}",
        f"hardware.sequences_per_device={point.micro}",
        f"hardware.gradient_checkpointing={str(point.recomputed).lower()}",
        "rollout=generate",
        f"rollout.loader={point.loader}",
        "reward=spread",
        "dataset.gold=null",
        "health=off",
        "held_out.rows=0",
        "preflight.smoke=never",
        f"method.prompts_per_step={point.micro // GROUP}",
        f"method.num_generations={GROUP}",
        f"method.max_completion_length={FEW}",
        "method.max_steps=2",
        "method.save_strategy=no",
        f"method.generation_kwargs={{min_new_tokens:{FEW}}}",
    ]


def trained(lists: list[list[str]]) -> None:
    """Trains one run after another in this process; a line each as it ends. What a run failed of, its manifest says."""
    from rlexp import api

    for typed in lists:
        began = time.time()
        try:
            api.train(api.compose(*typed))
            reason = ""
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        said = {"folder": typed[0].partition("=")[2], "s": time.time() - began, "reason": reason}
        print(json.dumps(said), flush=True)


def measured(
    points: list[Point], options: argparse.Namespace, environment: dict[str, str], seconds: float
) -> Iterator[dict[str, Any]]:
    """Trains points in a process of their own, and yields what the manifest of each says once it is there."""
    folders = {options.work / "memory" / point.name: point for point in points}
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    lists = [overrides(point, folder, options) for folder, point in folders.items()]
    command = [sys.executable, __file__, "--points", json.dumps(lists)]
    with (options.work / "memory.log").open("a") as log:
        child = subprocess.Popen(
            command, cwd=options.work / "project", env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
        timer = threading.Timer(seconds, child.kill)
        timer.start()
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("{"):
                said = json.loads(line)
                yield of_run(Path(said["folder"]), folders[Path(said["folder"])], said["s"], said["reason"])
        timer.cancel()
        child.wait()


def of_run(folder: Path, point: Point, seconds: float, reason: str) -> dict[str, Any]:
    """What the manifest of a point says of its memory, or why it has nothing to say."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text()) if file.is_file() else {}
    reason = str(manifest.get("reason") or reason)
    return {
        **dataclasses.asdict(point),
        "memory_gib": manifest.get("memory_gib"),
        "seconds": round(seconds, 1),
        "status": "out of memory" if "out of memory" in reason.lower() else manifest.get("status", "failed"),
        "seen": seen(folder / "metrics.jsonl", point.micro),
        "reason": reason.strip().splitlines()[-1][:200] if reason.strip() else None,
    }


def seen(metrics: Path, sequences: int) -> int | None:
    """Tokens of a sequence as trained on, in the mean: what TRL counted in the first step of so many sequences."""
    if not metrics.is_file():
        return None
    first = json.loads(metrics.read_text().splitlines()[0])
    return int(first["num_tokens"] / sequences) if "num_tokens" in first else None


def table(points: list[dict[str, Any]]) -> str:
    """Markdown: what was estimated, what was measured, and their ratio; the context is not in torch's figures."""
    heads = ["shape", "loader", "trained", "micro-batch", "tokens (seen)", "recomputation", *COLUMNS, "estimated GiB"]
    heads += ["allocated", "reserved", "estimated / reserved", "s"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|---|" + "---:|" * (len(heads) - 3)]
    for point in points:
        cells = [point["shape"], point["loader"], "all" if point["full"] else "LoRA", str(point["micro"])]
        cells += [f"{point['tokens']} ({point['seen']})", "on" if point["recomputed"] else "off"]
        memory = point["memory_gib"]
        if memory and memory["estimated"]:
            estimated, peak = memory["estimated"], memory["measured"]
            cells += [f"{estimated[name]:.2f}" for name in (*COLUMNS, "total")]
            cells += [f"{peak['allocated']:.2f}", f"{peak['reserved']:.2f}"]
            cells.append(f"{estimated['total'] / peak['reserved']:.2f}")
        else:
            cells += [""] * len(COLUMNS) + ["", point["status"], "", ""]
        lines.append("| " + " | ".join([*cells, f"{point['seconds']:.0f}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Reads the command line, makes models and project, runs the points and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", choices=[*work.SHAPES, []])
    parser.add_argument("--micro", default="4,8,16,32")
    parser.add_argument("--checkpointing", default="off,on")
    parser.add_argument("--loaders", default="unsloth")
    parser.add_argument("--tokens", default="512", help="of a sequence, prompt and completion")
    parser.add_argument("--full", action="store_true", help="train every weight")
    parser.add_argument("--limit", type=float, default=560, help="seconds for all points")
    parser.add_argument("--hardware", default="auto")
    parser.add_argument("--work", type=Path, default=Path("/tmp/rlexp-benchmark"))
    parser.add_argument("--points", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.points:
        trained(json.loads(options.points))
        return
    options.work = options.work.resolve()
    if odd := [size for size in options.micro.split(",") if int(size) % GROUP]:
        parser.error(f"--micro {odd[0]}: a multiple of {GROUP}")
    until = time.time() + options.limit
    environment = {
        "CUDA_VISIBLE_DEVICES": "0",
        "HF_HUB_OFFLINE": "1",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(grpo_gpu.ROOT / "src"), os.environ.get("PYTHONPATH")])),
    }
    options.work.mkdir(parents=True, exist_ok=True)
    maker = str(grpo_gpu.ROOT / "perf/sides/work.py")
    for shape in options.shapes:
        if not (options.work / "models" / shape).is_dir():
            made = [sys.executable, maker, shape, str(options.work / "models" / shape)]
            subprocess.run(made, env=environment, check=True)
    grpo_gpu.project(options.work / "project", environment)
    asked = [
        Point(shape, loader, options.full, tokens, micro, recomputed == "on")
        for shape in options.shapes
        for loader in options.loaders.split(",")
        for tokens in map(int, options.tokens.split(","))
        for micro in map(int, options.micro.split(","))
        for recomputed in options.checkpointing.split(",")
    ]
    found: list[dict[str, Any]] = []
    for _, points in itertools.groupby(asked, key=lambda point: point.process):
        for one in measured(list(points), options, environment, until - time.time()):
            found.append(one)
            print(json.dumps(one), flush=True)
    if len(found) < len(asked):
        print(f"{len(asked) - len(found)} of {len(asked)} points were not run; {options.work}/memory.log says why")
    print(table(found))


if __name__ == "__main__":
    main()
