"""The memory estimate against the peak that torch measures, point by point, on one GPU.

A point is a shape of ``sides/work.py`` (random weights, no hub needed), a length, a micro-batch and recomputation on or
off; each trains two GRPO steps (``rlexp.api.train``, the points of a shape one after another in one process), sampling
few tokens with transformers' generate, and reads ``memory_gib`` of its manifest. Sequences are made as long as the
estimate takes them to be: the prompts are opened by a text that fills them up. NAMED are twelve points named before
they were measured; FRESH are four more, named after the estimate had been fitted to nine of those. OPEN are four where
neither micro-batch nor recomputation is typed and ``rollout=auto`` samples half of each sequence (512 tokens at most):
the estimate is held against torch's reserve, and with its overhead against what is taken of the device. A line says
estimate / measured at once, and the peak that was allocated in each part of a step.

Usage, from the project folder:
  python perf/memory_gpu.py --named                     # twelve points, about 5 minutes, the most telling first
  python perf/memory_gpu.py --named --fresh --only 13,14,15,16    # numbered on from NAMED
  python perf/memory_gpu.py --open                      # four, each with an engine of vLLM: about 5 minutes
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
QUESTION = 24
"""Tokens left for the template and the question itself."""
COLUMNS = ("weights", "engine", "trained", "activations", "logits", "cache", "overhead")


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
    """Sequences of a step, which is one micro-batch where that is typed."""
    recomputed: bool | None
    """None where it is left open, and the micro-batch with it."""
    rollout: str = "generate"

    @property
    def process(self) -> tuple[str, str, bool, str]:
        """The points of equal ones run one after the other in one process: what Unsloth rewrites follows these, and an
        engine stays for the process that started it."""
        alone = self.name if self.recomputed is None else ""
        return self.shape, self.loader, self.full, alone

    @property
    def sampled(self) -> int:
        """Tokens of a completion."""
        return FEW if self.rollout == "generate" else min(self.tokens // 2, 512)

    @property
    def name(self) -> str:
        """That of its run folder."""
        parts = [self.shape, self.loader, "full" if self.full else "lora", self.tokens, self.micro]
        return "-".join(map(str, [*parts, {True: "on", False: "off", None: "open"}[self.recomputed]]))


def lora(shape: str, micro: int, tokens: int, recomputed: bool) -> Point:
    """A point with an adapter on Unsloth's model."""
    return Point(shape, "unsloth", False, tokens, micro, recomputed)


NAMED = [
    *(lora("4b", 32, 3000, True), lora("4b", 128, 512, True), lora("4b", 32, 512, False)),
    *(lora("1.7b", 128, 512, False), lora("1.7b", 128, 512, True), lora("1.7b", 32, 3000, True)),
    Point("1.7b", "unsloth", True, 512, 32, True),
    *(lora("135m", 32, 3000, False), lora("135m", 128, 512, False)),
    *(lora("135m", 128, 512, True), lora("135m", 128, 3000, True)),
    Point("135m", "unsloth", True, 512, 128, True),
]
"""Twelve points: three shapes, 32 and 128 sequences, 512 and 3000 tokens, two with every weight trained."""
FRESH = [
    *(lora("4b", 64, 1024, True), lora("1.7b", 16, 2048, False), lora("135m", 64, 1024, True)),
    Point("1.7b", "unsloth", True, 1024, 16, True),
]
"""Four that the estimate was not fitted to."""
OPEN = [
    Point("4b", "unsloth", False, 512, 64, None, "auto"),
    Point("1.7b", "unsloth", False, 512, 128, None, "auto"),
    Point("135m", "auto", False, 512, 64, None, "auto"),
    Point("4b", "unsloth", False, 3000, 32, None, "auto"),
]
"""Four points that set nothing."""


def overrides(point: Point, folder: Path, options: argparse.Namespace) -> list[str]:
    """The command line of a point."""
    model, tokens = options.work / "models" / point.shape, point.tokens
    full_length = f"min_new_tokens:{FEW}" if point.rollout == "generate" else "ignore_eos:true"
    return [
        f"hydra.run.dir={folder}",
        f"model.path={model}",
        "model.prepare=null",
        f"model.full_finetuning={str(point.full).lower()}",
        f"model.max_seq_length={tokens}",
        f'model.system_prompt="{filler(model, tokens - point.sampled - QUESTION)}"',
        f"hardware={options.hardware}",
        f"rollout={point.rollout}",
        *typed(point),
        "reward=spread",
        "dataset.gold=null",
        "health=off",
        "held_out.rows=0",
        "preflight.smoke=never",
        f"method.prompts_per_step={point.micro // GROUP}",
        f"method.num_generations={GROUP}",
        f"method.max_completion_length={point.sampled}",
        "method.max_steps=2",
        "method.save_strategy=no",
        f"method.generation_kwargs={{{full_length}}}",
    ]


def typed(point: Point) -> list[str]:
    """What is typed of the micro-batch: nothing where it is left open."""
    if point.recomputed is None:
        return []
    return [
        f"hardware.sequences_per_device={point.micro}",
        f"hardware.gradient_checkpointing={str(point.recomputed).lower()}",
        f"rollout.loader={point.loader}",
    ]


PHASES: dict[str, float] = {}
"""Part of a step -> the largest peak allocated in it, in GiB; ``device``: the most taken of the whole device."""


def by_phase() -> None:
    """Has every part of a step that is timed keep its own peak; the run's own peaks go on as they were."""
    import torch

    from rlexp.backend import peak_memory
    from rlexp.train.step_time import StepTime

    count = StepTime._count

    def counted(self: StepTime, part: str) -> None:
        count(self, part)
        if not torch.cuda.is_available():
            PHASES[part] = 0.0
            return
        free, whole = torch.cuda.mem_get_info()
        peaks = {part: torch.cuda.max_memory_allocated(), "device": whole - free}
        for name, value in peaks.items():
            PHASES[name] = max(PHASES.get(name, 0.0), round(value / 2**30, 2))
        peak_memory.carry(peak_memory.peaks())
        torch.cuda.reset_peak_memory_stats()

    StepTime._count = counted  # type: ignore[method-assign]


def allocator() -> dict[str, Any]:
    """What torch's allocator took of its settings, and GiB reserved in segments that grow."""
    import torch

    if not torch.cuda.is_available():
        return {}
    snapshot = torch.cuda.memory._snapshot()
    growing = sum(one["total_size"] for one in snapshot["segments"] if one.get("is_expandable"))
    return {
        "expandable_segments": snapshot.get("allocator_settings", {}).get("expandable_segments"),
        "growing": round(growing / 2**30, 2),
    }


def trained(lists: list[list[str]]) -> None:
    """Trains one run after another in this process; a line each as it ends. What a run failed of, its manifest says."""
    from rlexp import api
    from rlexp.backend import model

    libraries, hooked = model.import_libraries, False

    def imported(*arguments: Any) -> None:
        nonlocal hooked
        libraries(*arguments)  # Unsloth comes before what a step is timed with
        if not hooked:
            by_phase()
            hooked = True

    model.import_libraries = imported  # type: ignore[assignment]
    for words in lists:
        began = time.time()
        PHASES.clear()
        try:
            api.train(api.compose(*words))
            reason = ""
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        said = {"folder": words[0].partition("=")[2], "s": time.time() - began, "reason": reason, "gib": PHASES}
        said["allocator"] = allocator()
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
                yield of_run(Path(said["folder"]), folders[Path(said["folder"])], said)
        timer.cancel()
        code = child.wait()
    if code:
        last = (options.work / "memory.log").read_text(errors="replace").splitlines()[-3:]
        print(f"the process of {points[0].name} ended with {code}: " + " / ".join(last)[-400:], flush=True)


def of_run(folder: Path, point: Point, said: dict[str, Any]) -> dict[str, Any]:
    """What the manifest of a point says of its memory, or why it has nothing to say."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text()) if file.is_file() else {}
    reason = str(manifest.get("reason") or said["reason"])
    return {
        **dataclasses.asdict(point),
        "memory_gib": manifest.get("memory_gib"),
        "chosen": chosen(folder / "run.lock.yaml"),
        "gib": said["gib"],
        "allocator": said["allocator"],
        "seconds": round(said["s"], 1),
        "status": "out of memory" if "out of memory" in reason.lower() else manifest.get("status", "failed"),
        "seen": seen(folder / "metrics.jsonl", point.micro),
        "reason": reason.strip().splitlines()[-1][:200] if reason.strip() else None,
    }


def chosen(lock: Path) -> dict[str, Any]:
    """What a run took where nothing was typed."""
    import yaml

    config = yaml.safe_load(lock.read_text())["config"] if lock.is_file() else {"hardware": {}, "rollout": {}}
    words = {"hardware": ("sequences_per_device", "gradient_checkpointing"), "rollout": ("name", "loader")}
    return {key: config[group].get(key) for group, keys in words.items() for key in keys}


def ratio(point: dict[str, Any]) -> str:
    """``4b 32x512 (504) off: 61.20 / 58.10 = 1.05``: estimated and reserved, and of open points the device too."""
    name = f"{point['shape']} {'all' if point['full'] else 'LoRA'} {point['micro']}x{point['tokens']} ({point['seen']})"
    name += {True: " on", False: " off", None: " open"}[point["recomputed"]]
    memory = point["memory_gib"]
    if not (memory and memory["estimated"]):
        return f"{name}: {point['status']} ({point['reason']})"
    estimated, reserved = memory["estimated"], memory["measured"]["reserved"]
    line = f"{name}: {estimated['reserved']:.2f} / {reserved:.2f} = {estimated['reserved'] / reserved:.3f}"
    if taken := point["gib"].get("device"):
        line += f"; device {estimated['total']:.2f} / {taken:.2f} = {estimated['total'] / taken:.3f}"
    return f"{line}; {point['chosen']} {point['gib']} {point['allocator']}"


def seen(metrics: Path, sequences: int) -> int | None:
    """Tokens of a sequence as trained on, in the mean: what TRL counted in the first step of so many sequences."""
    if not metrics.is_file():
        return None
    first = json.loads(metrics.read_text().splitlines()[0])
    return int(first["num_tokens"] / sequences) if "num_tokens" in first else None


def table(points: list[dict[str, Any]]) -> str:
    """Markdown: what was estimated, what was measured, and their ratio; the context is not in torch's figures."""
    heads = [
        "shape",
        "loader",
        "trained",
        "micro-batch",
        "tokens (seen)",
        "recomputation",
        *COLUMNS,
        "estimated GiB, less overhead",
    ]
    heads += ["allocated", "reserved", "estimated / reserved", "s"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|---|" + "---:|" * (len(heads) - 3)]
    for point in points:
        cells = [point["shape"], point["loader"], "all" if point["full"] else "LoRA", str(point["micro"])]
        cells += [f"{point['tokens']} ({point['seen']})", {True: "on", False: "off", None: "open"}[point["recomputed"]]]
        memory = point["memory_gib"]
        if memory and memory["estimated"]:
            estimated, peak = memory["estimated"], memory["measured"]
            cells += [f"{estimated[name]:.2f}" for name in (*COLUMNS, "reserved")]
            cells += [f"{peak['allocated']:.2f}", f"{peak['reserved']:.2f}"]
            cells.append(f"{estimated['reserved'] / peak['reserved']:.2f}")
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
    parser.add_argument("--named", action="store_true", help="the twelve points that were named beforehand")
    parser.add_argument("--fresh", action="store_true", help="the four that the estimate was not fitted to")
    parser.add_argument("--open", action="store_true", help="the four that set nothing")
    parser.add_argument("--only", help="of these, those numbers: 1,2,5")
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
    environment = {
        "CUDA_VISIBLE_DEVICES": "0",
        "HF_HUB_OFFLINE": "1",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(grpo_gpu.ROOT / "src"), os.environ.get("PYTHONPATH")])),
    }
    options.work.mkdir(parents=True, exist_ok=True)
    maker = str(grpo_gpu.ROOT / "perf/sides/work.py")
    sets = {"named": NAMED, "fresh": FRESH, "open": OPEN}
    listed = [point for name, points in sets.items() if getattr(options, name) for point in points]
    if options.only:
        listed = [listed[int(number) - 1] for number in options.only.split(",")]
    for shape in dict.fromkeys([*options.shapes, *(point.shape for point in listed)]):
        if not (options.work / "models" / shape).is_dir():
            made = [sys.executable, maker, shape, str(options.work / "models" / shape)]
            subprocess.run(made, env=environment, check=True)
    grpo_gpu.project(options.work / "project", environment)
    asked = listed + [
        Point(shape, loader, options.full, tokens, micro, recomputed == "on")
        for shape in options.shapes
        for loader in options.loaders.split(",")
        for tokens in map(int, options.tokens.split(","))
        for micro in map(int, options.micro.split(","))
        for recomputed in options.checkpointing.split(",")
    ]
    until, found = time.time() + options.limit, list[dict[str, Any]]()
    for _, points in itertools.groupby(asked, key=lambda point: point.process):
        for one in measured(list(points), options, environment, until - time.time()):
            found.append(one)
            print(json.dumps(one), flush=True)
            print(ratio(one), flush=True)
    if len(found) < len(asked):
        print(f"{len(asked) - len(found)} of {len(asked)} points were not run; {options.work}/memory.log says why")
    print(table(found))


if __name__ == "__main__":
    main()
