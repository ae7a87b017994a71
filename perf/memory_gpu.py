"""The memory estimate against the peak that torch measures, point by point, on one GPU.

A point is a shape of ``sides/work.py`` (random weights, no hub needed), a micro-batch and recomputation on or off; each
trains two GRPO steps through the command line in a process of its own, sampling few tokens with transformers' generate,
and reads ``memory_gib`` of its manifest. Sequences are made as long as the estimate takes them to be: the prompts are
opened by a text that fills them up.

Usage, from the project folder:
  python perf/memory_gpu.py 135m 4b                     # micro-batch 4, 8, 16, 32, recomputation on and off
  python perf/memory_gpu.py 4b --micro 8,16 --loaders unsloth,transformers --limit 500
  python perf/memory_gpu.py tiny --micro 4              # tries the script on a CPU, where nothing is measured
A point takes about 60 s on an H100 (``--point`` bounds it), a table is printed after each; ``--limit`` bounds them all.
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


def overrides(shape: str, micro: int, checkpointing: bool, loader: str, folder: Path, options: Any) -> list[str]:
    """The command line of a point."""
    model, tokens = options.work / "models" / shape, options.tokens
    return [
        f"hydra.run.dir={folder}",
        f"model.path={model}",
        "model.prepare=null",
        f"model.max_seq_length={tokens}",
        f'model.system_prompt="{filler(model, tokens - FEW - QUESTION)}"',
        f"hardware={options.hardware}",
        f"hardware.sequences_per_device={micro}",
        f"hardware.gradient_checkpointing={str(checkpointing).lower()}",
        "rollout=generate",
        f"rollout.loader={loader}",
        "reward=spread",
        "dataset.gold=null",
        "health=off",
        "held_out.rows=0",
        "preflight.smoke=never",
        f"method.prompts_per_step={micro // GROUP}",
        f"method.num_generations={GROUP}",
        f"method.max_completion_length={FEW}",
        "method.max_steps=2",
        "method.save_strategy=no",
        f"method.generation_kwargs={{min_new_tokens:{FEW}}}",
    ]


def measured(
    arguments: list[str], sequences: int, folder: Path, options: Any, environment: dict[str, str]
) -> dict[str, Any]:
    """Runs a point; what its manifest says of memory and time, or why it has nothing to say."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "rlexp", *arguments]
    began = time.time()
    try:
        done = subprocess.run(
            *(command,),
            **{"cwd": options.work / "project", "env": environment, "capture_output": True, "text": True},
            timeout=options.point,
        )
        said = done.stderr.strip() or done.stdout.strip()
    except subprocess.TimeoutExpired:
        said = f"more than {options.point:.0f} s"
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text()) if file.is_file() else {}
    reason = manifest.get("reason") or said or "no manifest"
    out_of_memory = "out of memory" in f"{reason} {said}".lower()
    return {
        "memory_gib": manifest.get("memory_gib"),
        "seconds": round(time.time() - began, 1),
        "status": "out of memory" if out_of_memory else manifest.get("status", "failed"),
        "seen": seen(folder / "metrics.jsonl", sequences),
        "reason": None if manifest.get("status") == "finished" else reason.splitlines()[-1][:200],
    }


def seen(metrics: Path, sequences: int) -> int | None:
    """Tokens of a sequence as trained on, in the mean: what TRL counted in the first step of so many sequences."""
    if not metrics.is_file():
        return None
    first = json.loads(metrics.read_text().splitlines()[0])
    return int(first["num_tokens"] / sequences) if "num_tokens" in first else None


def table(points: list[dict[str, Any]]) -> str:
    """Markdown: what was estimated, what was measured, and their ratio; the context is not in torch's figures."""
    heads = ["shape", "loader", "micro-batch", "tokens (seen)", "recomputation", *COLUMNS, "estimated GiB"]
    heads += ["allocated", "reserved", "estimated / reserved", "s"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for point in points:
        cells = [point["shape"], point["loader"], str(point["micro"]), f"{point['tokens']} ({point['seen']})"]
        cells.append("on" if point["checkpointing"] else "off")
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
    parser.add_argument("shapes", nargs="+", choices=work.SHAPES)
    parser.add_argument("--micro", default="4,8,16,32")
    parser.add_argument("--checkpointing", default="off,on")
    parser.add_argument("--loaders", default="unsloth")
    parser.add_argument("--tokens", type=int, default=512, help="of a sequence, prompt and completion")
    parser.add_argument("--limit", type=float, default=560, help="seconds for all points")
    parser.add_argument("--point", type=float, default=150, help="seconds for one")
    parser.add_argument("--hardware", default="auto")
    parser.add_argument("--work", type=Path, default=Path("/tmp/rlexp-benchmark"))
    options = parser.parse_args()
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
        subprocess.run(
            [sys.executable, maker, shape, str(options.work / "models" / shape)], env=environment, check=True
        )
    grpo_gpu.project(options.work / "project", environment)
    asked = [
        (shape, loader, micro, recomputed == "on")
        for shape in options.shapes
        for loader in options.loaders.split(",")
        for recomputed in options.checkpointing.split(",")
        for micro in map(int, options.micro.split(","))
    ]
    points: list[dict[str, Any]] = []
    for shape, loader, micro, checkpointing in asked:
        if time.time() > until - 10:
            print(f"time is up: {len(asked) - len(points)} of {len(asked)} points were not run", flush=True)
            break
        options.point = min(options.point, until - time.time())
        folder = options.work / "memory" / f"{shape}-{loader}-{micro}-{'on' if checkpointing else 'off'}"
        arguments = overrides(shape, micro, checkpointing, loader, folder, options)
        found = measured(arguments, micro, folder, options, environment)
        named = {"shape": shape, "loader": loader, "micro": micro, "checkpointing": checkpointing}
        points.append({**named, "tokens": options.tokens, **found})
        print(json.dumps(points[-1]), flush=True)
    print(table(points))


if __name__ == "__main__":
    main()
