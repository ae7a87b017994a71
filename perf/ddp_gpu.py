"""Runs over several GPUs against the same on one: what they train, how fast, and how they end. In order of worth:

``correct``  tiny, four steps, on two GPUs and on one, all at once: loss and gradient norm of step 1, the completions
             that are equal token for token, the largest difference of the weights, the record. A run that ends well has
             equal weights on both ranks (``train.devices.agree``).
``more``     the same of the other methods, while ``kill`` runs: a rank is ended by SIGKILL; seconds until the message.
``weak``     seconds a step of twice the batch on two GPUs against that of one: efficiency is one / two.
``sweep``    four points over two GPUs against two on one: efficiency is one / two.
``strong``   seconds a step of the same batch: efficiency is one / (2 x two). Decoding takes nearly the same time for
             half as many completions, so this is not what several GPUs are for.

Each line is printed as it is known, as JSON.

Usage, from the project folder:
  python perf/ddp_gpu.py                                     # all of it, eight minutes on two H200
  python perf/ddp_gpu.py --parts weak,strong --shapes 4b --limit 300
  python perf/ddp_gpu.py --hardware cpu --parts correct,kill --kinds grpo_generate,dpo   # tries it on a CPU
"""

from __future__ import annotations

import helped  # noqa: F401  # isort: skip
import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpo_gpu

ROOT = Path(__file__).parents[1]
VLLM = ("rollout.gpu_memory_utilization=0.15", "rollout.enforce_eager=true")
CACHE = "rollout.engine.kv_cache_memory_bytes"
KINDS: dict[str, tuple[str, ...]] = {
    "grpo_generate": ("method=grpo", "rollout=generate"),
    "grpo_colocate": ("method=grpo", "rollout=colocate", *VLLM, f"+{CACHE}=536870912"),
    "grpo_colocate_unsloth": (
        *("method=grpo", "rollout=colocate", "rollout.loader=unsloth"),
        *(*VLLM, f"+{CACHE}=536870912"),
    ),
    "grpo_unsloth": ("method=grpo", "rollout=unsloth", *VLLM, f"+{CACHE}=536870912"),
    "dpo": ("method=dpo", "dataset=arithmetic_preferences"),
    "sft": ("method=sft", "dataset=arithmetic_demonstrations"),
}
MORE: dict[str, tuple[str, ...]] = {
    "rloo_generate": ("method=rloo", "rollout=generate"),
    "grpo_passes": ("method=grpo", "rollout=generate", "hardware.sequences_per_device=8", "method.beta=0.04"),
    "orpo": ("method=orpo", "dataset=arithmetic_preferences"),
    "kto": ("method=kto", "dataset=arithmetic_judged", "method.loss_type=apo_zero_unpaired"),
    "grpo_generate_transformers": ("method=grpo", "rollout=generate", "rollout.loader=transformers"),
    "grpo_colocate_whole": (
        *("method=grpo", "rollout=colocate", *VLLM, f"+{CACHE}=536870912"),
        *("preflight.smoke=always", "held_out.rows=8", "held_out.samples=0", "held_out.every=2"),
    ),
    "rloo_colocate": ("method=rloo", "rollout=colocate", *VLLM, f"+{CACHE}=536870912"),
}
SNAPSHOTS = ("arithmetic", "arithmetic_preferences", "arithmetic_demonstrations", "arithmetic_judged")
STEPS = 4
TIMED = 7
"""Steps of a run whose steps are timed; the first two compile."""
LIMITS = {"correct": 200.0, "more": 150.0, "kill": 150.0, "weak": 170.0, "strong": 170.0, "sweep": 150.0}
"""Seconds that a run of a part may take."""


@dataclass
class Run:
    """A command line that is under way, or was."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes]
    log: Path
    began: float
    seconds: float | None = None

    def wait(self, seconds: float, quiet: bool = False) -> bool:
        """Waits for it so long at most, then ends it; says whether it ended well. What it said last is shown if not,
        unless that is meant."""
        try:
            self.process.wait(max(1.0, seconds))
        except subprocess.TimeoutExpired:
            self.process.terminate()
            try:
                self.process.wait(25)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.seconds = time.time() - self.began
        if self.process.returncode == 0 or quiet:
            return self.process.returncode == 0
        said = [self.log, *(self.folder / name for name in ("traceback.txt", "libraries.log"))]
        for path in said:
            if path.is_file():
                tail = "\n".join(path.read_text(errors="replace").splitlines()[-25:])
                print(f"--- {self.name}: {path.name} (exit {self.process.returncode})\n{tail}\n---", flush=True)
        return False


class Bench:
    """The runs of one project copy, and the time that is left for them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.until = options, time.time() + options.limit
        self.cuda = options.hardware != "cpu"
        self.work: Path = options.work.resolve()
        self.project = self.work / "project"
        self.environment = grpo_gpu.surroundings() | {"HYDRA_FULL_ERROR": ""}
        self.gpus = (os.environ.get("CUDA_VISIBLE_DEVICES") or "0,1").split(",")

    def left(self) -> float:
        """Seconds of the whole that are left."""
        return self.until - time.time()

    def start(self, name: str, words: list[str], gpus: list[str]) -> Run:
        """Begins a run whose record goes to ``outputs/NAME``."""
        folder, log = self.project / "outputs" / name, self.work / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        where = f"hydra.sweep.dir={folder}" if "-m" in words else f"hydra.run.dir={folder}"
        command = [sys.executable, str(ROOT / "perf/sides/untried.py"), *words, where]
        visible = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if self.cuda else {}
        with log.open("wb") as said:
            process = subprocess.Popen(
                *(command,),
                **{"cwd": self.project, "env": self.environment | visible, "stdout": said, "stderr": said},
                start_new_session=True,
            )
        return Run(name, folder, process, log, time.time())

    def prepare(self) -> None:
        """Copies the project, and makes its data."""
        grpo_gpu.project(self.project, self.environment)
        typed = {"arithmetic_preferences": "dpo", "arithmetic_demonstrations": "sft", "arithmetic_judged": "kto"}

        def make(dataset: str) -> None:
            of = ["method=kto", "method.loss_type=apo_zero_unpaired"] if typed.get(dataset) == "kto" else []
            of = of or ([f"method={typed[dataset]}"] if dataset in typed else [])
            grpo_gpu.prepared(self.project, self.environment, [f"dataset={dataset}", *of])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(make, SNAPSHOTS))

    def small(self, devices: int, kind: tuple[str, ...]) -> list[str]:
        """The words of a run of ``tiny`` on so many devices: 32 sequences a step, 16 a pass."""
        online = any(word in kind for word in ("method=grpo", "method=rloo"))
        sampled = "rollout=generate" in kind or (online and not self.cuda)
        typed = [word for word in kind if self.cuda or not (word.startswith("rollout") or CACHE in word)]
        return [
            *(f"hardware={self.options.hardware}", f"hardware.devices={devices}", "hardware.reward_workers=0"),
            *("hardware.sequences_per_device=16", "hardware.gradient_checkpointing=false", "health=off"),
            *(f"method.max_steps={STEPS}", "method.logging_steps=1", "preflight.smoke=never", "held_out.rows=0"),
            *(["reward=format+correct", "method.prompts_per_step=4"] if online else ["method.prompts_per_step=32"]),
            *(["rollout.seed_rows=true"] if sampled and devices == 1 else []),
            *typed,
        ]

    def timed(self, shape_name: str, devices: int, share: float, steps: int = TIMED) -> list[str]:
        """The words of a run whose steps are timed: GRPO of a shape with ``share`` of its prompts on all devices."""
        shape = grpo_gpu.work.SHAPES[shape_name]
        length = 96 if shape_name == "tiny" else shape.tokens + 128
        asked = grpo_gpu.work.arguments("grpo", shape, steps, self.cuda)
        engine = []
        if self.cuda:
            loader = "unsloth" if shape_name == "4b" else "transformers"
            engine = ["rollout=colocate", f"rollout.loader={loader}", "rollout.gpu_memory_utilization=0.3"]
            engine.append(f"+{CACHE}={int(shape.kv_gib * 2**30)}")
        return [
            *(f"model.path={self.work / 'models' / shape_name}", "model.prepare=null"),
            *(f"model.max_seq_length={length}", "reward=spread", "dataset.gold=null", "health=off"),
            *("held_out.rows=0", "preflight.smoke=never", f"hardware={self.options.hardware}"),
            *(f"hardware.devices={devices}", f"hardware.sequences_per_device={shape.micro}"),
            f"hardware.gradient_checkpointing={str(shape.checkpointing).lower()}",
            f"method.prompts_per_step={round(shape.prompts * share)}",
            *(f"method.{key}={grpo_gpu._hydra(value)}" for key, value in asked.items()),
            *engine,
        ]


def lines(folder: Path) -> list[dict[str, Any]]:
    """The entries of a run that tell of a step."""
    path = folder / "metrics.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    return [line for line in found if "loss" in line]


def say(part: str, **figures: Any) -> None:
    """Prints a line."""
    print(json.dumps({"part": part, **figures}), flush=True)


def same(one: Path, two: Path) -> dict[str, Any]:
    """What a run on two devices trained, beside the one on one."""
    import pyarrow.parquet as pq
    import yaml
    from safetensors.torch import load_file

    first, second = lines(one), lines(two)
    weights = [load_file(folder / "adapter/adapter_model.safetensors") for folder in (one, two)]
    apart = max(float((weights[0][name].float() - weights[1][name].float()).abs().max()) for name in weights[0])
    largest = max(float(value.abs().max()) for name, value in weights[0].items() if "lora_B" in name)
    said = json.loads((two / "manifest.json").read_text())
    locked = yaml.safe_load((two / "run.lock.yaml").read_text())["config"]
    rows: dict[str, Any] = {}
    for path in sorted((one / "completions").glob("step-*.parquet")):
        tables = [pq.read_table(folder / "completions" / path.name).to_pydict() for folder in (one, two)]
        pairs = list(zip(tables[0]["completion"], tables[1]["completion"], strict=True))
        rows[path.stem[-1]] = [len(pairs), round(sum(a == b for a, b in pairs) / len(pairs), 3)]
    return {
        "way": [locked["method"]["name"], locked["rollout"]["name"], locked["rollout"]["loader"]],
        **{key: [round(first[0][key], 6), round(second[0][key], 6)] for key in ("loss", "grad_norm")},
        "rewards": [[round(line["reward"], 4) for line in found] for found in (first, second) if "reward" in found[0]],
        "rows and share equal, by step": rows,
        "weights apart": apart,
        "largest lora_B": largest,
        "record": [said["status"], said["steps"], len(second)],
        "patches": sorted(name for name, one in said["patches"].items() if one["status"] == "applied"),
        "memory_gib": said.get("memory_gib"),
    }


def correct(bench: Bench, part: str, kinds: dict[str, tuple[str, ...]], beside: Any = None) -> None:
    """Every kind on two devices and on one, all at once."""
    until, runs = time.time() + min(LIMITS[part], bench.left()), []
    for number, (name, kind) in enumerate(kinds.items()):
        twice = bench.start(f"{name}_2", bench.small(2, kind), bench.gpus[:2])
        runs.append((name, bench.start(f"{name}_1", bench.small(1, kind), [bench.gpus[number % 2]]), twice))
        if not bench.cuda:  # two processors hold one run at a time
            for run in runs[-1][1:]:
                run.wait(until - time.time())
    if beside:
        beside(bench)
    for name, one, two in runs:
        fine = [run.wait(until - time.time()) for run in (one, two)]
        seconds = [round(run.seconds or 0.0, 1) for run in (one, two)]
        try:
            say(part, kind=name, fine=fine, seconds=seconds, **(same(one.folder, two.folder) if all(fine) else {}))
        except Exception as error:  # the others are still to be said
            say(part, kind=name, fine=fine, seconds=seconds, error=f"{type(error).__name__}: {error}")


def kill(bench: Bench) -> None:
    """A rank is killed in the middle of a run."""
    import psutil

    words = [word for word in bench.small(2, KINDS["grpo_generate"]) if "max_steps" not in word]
    run = bench.start("killed", [*words, "method.max_steps=5000"], bench.gpus[:2])
    until = time.time() + min(LIMITS["kill"], bench.left())
    while len(lines(run.folder)) < 2 and time.time() < until and run.process.poll() is None:
        time.sleep(0.2)
    ranks = {}
    for child in psutil.Process(run.process.pid).children() if run.process.poll() is None else ():
        if "RANK" in (environment := child.environ()):
            ranks[environment["RANK"]] = child
    if "1" not in ranks:
        run.wait(1)
        say("kill", error="no rank was found", steps=len(lines(run.folder)))
        return
    began = time.time()
    ranks["1"].send_signal(signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.process.wait(90)
    took = time.time() - began
    left = [number for number, rank in ranks.items() if rank.is_running() and rank.status() != psutil.STATUS_ZOMBIE]
    run.wait(1 if run.process.poll() is None else 90, quiet=True)
    said = [line for line in run.log.read_text(errors="replace").splitlines() if line.strip()]
    manifest = json.loads((run.folder / "manifest.json").read_text())
    say(
        "kill",
        seconds=round(took, 1),
        code=run.process.returncode,
        message=said[-4:],
        status=[manifest["status"], manifest.get("reason")],
        left=left,
    )


def seconds_a_step(run: Run) -> dict[str, float]:
    """Medians of a run's steps and of their parts, without the first two."""
    split = [line["timing"] for line in lines(run.folder)[2:]]
    names = sorted({name for parts in split for name in parts if name.startswith("step_time/")})
    return {
        name.removeprefix("step_time/"): round(statistics.median(parts.get(name, 0.0) for parts in split), 4)
        for name in names
    }


class Speed:
    """The seconds a step of each shape on one GPU, measured once, and what several are held against."""

    def __init__(self, bench: Bench, shapes: list[str]) -> None:
        self.bench, self.shapes = bench, shapes
        self.one: dict[str, dict[str, float]] = {}

    def _alone(self) -> None:
        """Each shape on a GPU of its own, at the same time."""
        if self.one:
            return
        runs = []
        for number, shape in enumerate(self.shapes):
            gpu = self.bench.gpus[number % 2]
            runs.append(self.bench.start(f"{shape}_one", self.bench.timed(shape, 1, 1), [gpu]))
            if not self.bench.cuda or number % 2:
                self._take(runs)
        self._take(runs)

    def _take(self, runs: list[Run]) -> None:
        for run in runs:
            if run.wait(min(LIMITS["weak"], self.bench.left())):
                self.one[run.name.removesuffix("_one")] = took = seconds_a_step(run)
                say("one", shape=run.name, run_s=round(run.seconds or 0, 1), split=took)
        runs.clear()

    def measure(self, part: str) -> None:
        """``weak`` or ``strong``."""
        self._alone()
        for shape in [shape for shape in self.shapes if shape in self.one]:
            if self.bench.left() < 20:
                return
            share = 2 if part == "weak" else 1
            run = self.bench.start(f"{shape}_{part}", self.bench.timed(shape, 2, share), self.bench.gpus[:2])
            if not run.wait(min(LIMITS[part], self.bench.left())):
                continue
            took, alone = seconds_a_step(run), self.one[shape]
            efficiency = alone["step"] / took["step"] / (1 if part == "weak" else 2)
            facts = {"step_s": [alone["step"], took["step"]], "efficiency": round(efficiency, 3)}
            memory = json.loads((run.folder / "manifest.json").read_text()).get("memory_gib")
            say(part, shape=shape, **facts, split=took, run_s=round(run.seconds or 0, 1), memory_gib=memory)


def sweep(bench: Bench, shape: str) -> None:
    """Points over two GPUs, twice as many as on one."""
    words = bench.timed(shape, 1, 1, steps=20)
    took: dict[int, float] = {}
    for gpus, seeds in ((2, "0,1,2,3"), (1, "0,1")):
        if bench.left() < 40:
            return
        more = [] if bench.cuda else [f"sweep.workers={gpus}"]
        run = bench.start(f"sweep_{gpus}", [*words, "-m", f"seed={seeds}", *more], bench.gpus[:gpus])
        if not run.wait(min(LIMITS["sweep"], bench.left())):
            return
        took[gpus] = run.seconds or 0.0
        said = [json.loads(path.read_text()) for path in sorted(run.folder.glob("*/manifest.json"))]
        points = [[one["status"], one.get("started"), one.get("ended")] for one in said]
        say("sweep", gpus=gpus, seconds=round(took[gpus], 1), points=points)
    say("sweep", shape=shape, points=[2, 4], seconds=took, efficiency=round(took[1] / took[2], 3))


def main() -> None:
    """Reads the command line, and does the parts in order while there is time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="correct,more,weak,sweep,strong")
    parser.add_argument("--kinds", default="", help="of correct and more; default all")
    parser.add_argument("--shapes", default="4b,135m")
    parser.add_argument("--hardware", default="h200")
    parser.add_argument("--work", type=Path, default=Path("/tmp/rlexp-ddp"))
    parser.add_argument("--limit", type=float, default=480, help="seconds for all")
    options = parser.parse_args()
    bench = Bench(options)
    (bench.work / "models").mkdir(parents=True, exist_ok=True)
    parts, shapes = options.parts.split(","), options.shapes.split(",")
    began = time.time()

    def models() -> None:
        for shape in [*shapes] if {"weak", "strong", "sweep"} & {*parts} else []:
            made = grpo_gpu.maker(shape, bench.work / "models" / shape)
            subprocess.run(made, env=bench.environment, capture_output=not bench.cuda)

    making = threading.Thread(target=models)
    making.start()
    bench.prepare()
    say("prepared", seconds=round(time.time() - began, 1))
    speed = Speed(bench, shapes)

    def of(kinds: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        named = options.kinds.split(",") if options.kinds else [*kinds]
        return {name: kind for name, kind in kinds.items() if name in named}

    for part in parts:
        if bench.left() < 20:
            say(part, left_out="the time is up")
            continue
        try:
            if part == "correct":
                correct(bench, part, of(KINDS))
            elif part == "more":
                correct(bench, part, of(MORE), kill)
            elif part == "kill":
                kill(bench)
            else:
                making.join()
                if part == "sweep":
                    sweep(bench, shapes[-1])
                else:
                    speed.measure(part)
        except Exception as error:  # the next part may still be done
            say(part, error=f"{type(error).__name__}: {error}")
        say("time", after=part, seconds=round(time.time() - began, 1))
    making.join()


if __name__ == "__main__":
    main()
