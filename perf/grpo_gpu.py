"""GRPO on one GPU: rlexp against what a user would write by hand, with equal work, in one run.

Sides: ``trl_generate`` (TRL, transformers' generate), ``trl_vllm`` (TRL, vLLM colocate), ``unsloth`` (Unsloth with vLLM
inside, notebook-like) and ``rlexp`` (the command line, rollout=auto). All train the same model folder (the real
shape, random weights: no hub is needed) with the same adapter on the same rows, the same reward, the same completions
of the same length, one optimizer step a generation. What each trainer really holds is compared and differences are
printed; completion tokens are counted. The sides load beside each other (imports in parallel, engines one after the
other) and then take turns, A B C, C B A, ..., so that drift falls on all of them; while one steps the others wait.

A step is timed by the host with the device waited for, from its beginning to the next one's, so what a side does
between steps counts. Every side's step is split by ``rlexp.train.step_time``, the hand-written ones too.

Usage, from the project folder:
  python perf/grpo_gpu.py 4b                                # the three sides with vLLM, about 9 minutes
  python perf/grpo_gpu.py 135m --sides trl_generate,trl_vllm,unsloth,rlexp
  python perf/grpo_gpu.py 4b --alone --rounds 1             # one after the other: seconds to the first step
  python perf/grpo_gpu.py 4b --sides rlexp --variant rlexp+sync:rollout.engine.async_scheduling=false
  python perf/grpo_gpu.py 4b --sides rlexp --variant rlexp+one:rollout=unsloth,rollout.gpu_memory_utilization=.6
  CUDA_VISIBLE_DEVICES=0,1 python perf/grpo_gpu.py 4b --sides '' --variant \\
      rlexp+ahead:rollout=server,hardware=h100x2,method.off_policy_steps=1    # a variant alone, on two GPUs
  python perf/grpo_gpu.py tiny --sides unsloth,rlexp        # tries the harness on a CPU
``--variant SIDE+NAME:key=value,...`` adds a side. Keys: trainer arguments (for rlexp: overrides of its command line,
such as rollout.engine.async_scheduling=false), ``env.NAME``, and ``load.KEY`` for Unsloth's from_pretrained.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "sides"))
import work

ROOT = Path(__file__).parents[1]
SCRIPTS = {
    "trl": "trl_side.py",
    "trl_generate": "trl_side.py",
    "trl_vllm": "trl_side.py",
    "unsloth": "unsloth_side.py",
    "rlexp": "rlexp_side.py",
}
PROJECT = ("conf", "rewards", "data_prep", "models/tiny", "rewards.lock.yaml", ".gitignore", ".dvcignore")
SHAPED = ("micro", "kv_gib", "vllm_share", "tokens", "prompts", "completions")
"""What the command line may say instead of the shape's."""
NAMES_ONLY = (
    *("output_dir", "run_name", "logging_dir", "project", "hub_token", "local_rank", "vllm_server_host"),
    *("save_steps", "save_total_limit"),
)
"""Arguments that may differ: they name things, or what is not saved, and change no work."""


READY = 0.8
"""Share of the time that the sides may take to get ready."""


class Side:
    """One process: its job, its log, and what it measured."""

    def __init__(self, name: str, base: str, job: dict[str, Any]) -> None:
        self.name, self.base, self.job = name, base, job
        self.folder = Path(job["folder"])
        self.process: subprocess.Popen[bytes] | None = None
        self.rounds: list[dict[str, Any]] = []
        self.said = False
        self.gpu_mib: int | None = None

    number = 0
    """Among the sides, for a port of its own."""

    def start(self, environment: dict[str, str]) -> None:
        """Starts the process; its log is ``log.txt`` in its folder."""
        self.job["started"] = time.time()
        (self.folder / "job.json").write_text(json.dumps(self.job))
        command = [sys.executable, str(ROOT / "perf/sides" / SCRIPTS[self.base]), str(self.folder / "job.json")]
        with (self.folder / "log.txt").open("w") as log:
            where = self.job["project"] if self.base == "rlexp" else self.folder
            # Unsloth's modules apart: two processes that write them read each other's half-written ones.
            compiled = Path(self.job["work"]) / "unsloth_compiled_cache" / self.name
            environment = environment | kept(Path(self.job["work"]))
            port = str(29500 + os.getpid() % 1000 * 10 + self.number)  # TRL's free ones collide when two look at once
            environment |= {"UNSLOTH_COMPILE_LOCATION": str(compiled), "MASTER_PORT": port, **self.job["env"]}
            self.process = subprocess.Popen(command, cwd=where, env=environment, stdout=log, stderr=log)

    def alive(self) -> bool:
        """Whether it may still answer; says once what a dead side said last."""
        if self.process is not None and self.process.poll() is None:
            return True
        if not self.said and len(self.rounds) < self.job["rounds"]:
            self.said = True
            tail = "\n".join((self.folder / "log.txt").read_text(errors="replace").splitlines()[-25:])
            code = self.process.returncode if self.process else None
            print(f"--- {self.name} ended with {code}:\n{tail}\n---", file=sys.stderr, flush=True)
        return False

    def read(self, name: str) -> Any:
        """A JSON file of the side, None while it is not there."""
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else None

    def await_(self, name: str, until: float) -> Any:
        """The file once it is there; None when the side died or the time is up."""
        while (content := self.read(name)) is None and time.time() < until and self.alive():
            time.sleep(0.02)
        return content if content is not None else self.read(name)

    def turn(self, until: float) -> None:
        """Lets it train one round."""
        number = len(self.rounds)
        if self.read("warm.json") is None:
            return
        (self.folder / f"go.{number}").touch()
        if done := self.await_(f"done.{number}.json", until):
            self.rounds.append(done)
            self.gpu_mib = used(self.process.pid if self.process else 0) or self.gpu_mib

    def end(self) -> None:
        """Ends the process, if it has not ended by itself."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def used(pid: int) -> int | None:
    """MiB of device memory that nvidia-smi sees for a process; None where it does not say."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=10).stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired):
        return None
    rows = dict(line.split(", ") for line in lines if ", " in line)
    value = rows.get(str(pid), "")
    return int(value) if value.isdigit() else None


def variant(text: str) -> tuple[str, str, dict[str, Any]]:
    """(side, name, settings) of ``SIDE+NAME:key=value,...``; values are JSON or plain text."""
    head, _, rest = text.partition(":")
    base, _, _ = head.partition("+")
    if base not in SCRIPTS or base == head:
        raise SystemExit(f"--variant {text}: SIDE+NAME:key=value,... with SIDE one of {', '.join(SCRIPTS)}")
    settings: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        key, _, value = pair.partition("=")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return base, head, settings


def jobs(options: argparse.Namespace, shape: work.Shape, folder: Path, cuda: bool) -> list[Side]:
    """One side a process, in the order they were asked for."""
    plain = [name for name in options.sides.split(",") if name]
    wanted: list[tuple[str, str, dict[str, Any]]] = [(name, name, {}) for name in plain]
    wanted += [(head, base, settings) for base, head, settings in map(variant, options.variant)]
    sides: list[Side] = []
    for name, base, settings in wanted:
        picked = {part: _under(settings, part) for part in ("env", "load")}
        rest = {key: value for key, value in settings.items() if key.partition(".")[0] not in picked}
        vllm = cuda and base != "trl_generate"
        job = job_of("grpo", name, options, shape, folder) | {
            "max_length": 96 if options.shape == "tiny" else shape.tokens + 128,
            "vllm": vllm,
            "load": picked["load"],
            "env": {key: str(value) for key, value in picked["env"].items()},
            "arguments": {} if base == "rlexp" else rest,
        }
        if base == "rlexp":
            job["rlexp"] = overrides(shape, job, vllm, cuda, options.hardware)
            # The steps timed are those of a long run.
            long = {"rollout.compiled": "true"} if vllm and not getattr(options, "alone", False) else {}
            typed = dict(pair.split("=", 1) for pair in job["rlexp"])
            typed |= long | {key: _hydra(value) for key, value in rest.items()}
            job["rlexp"] = [f"{key}={value}" for key, value in typed.items()]
        sides.append(Side(name, base, job))
    for number, side in enumerate(sides):
        side.number = number
        shutil.rmtree(side.folder, ignore_errors=True)
        side.folder.mkdir(parents=True)
    return sides


def job_of(method: str, name: str, options: argparse.Namespace, shape: work.Shape, folder: Path) -> dict[str, Any]:
    """What every side is told, whatever it trains."""
    return {
        "name": name,
        "method": method,
        "work": str(folder),
        "folder": str(folder / "sides" / name),
        "project": str(folder / "project"),
        "model": str(folder / "models" / options.shape),
        "shape": dataclasses.asdict(shape),
        "sequences": shape.sequences,
        "kv_gib": shape.kv_gib,
        "vllm": False,
        "warm": options.warm,
        "steps": options.steps,
        "rounds": options.rounds,
        "profile": options.profile,
        "max_steps": options.warm + options.steps * options.rounds + bool(options.profile),
        "load": {},
        "env": {},
        "arguments": {},
    }


def overrides(
    shape: work.Shape, job: dict[str, Any], vllm: bool, cuda: bool, hardware: str, rollout: str = "auto"
) -> list[str]:
    """The command line of rlexp for this work.

    Args:
        rollout: the option, where vLLM samples.
    """
    asked = work.arguments("grpo", shape, job["max_steps"], vllm)
    share = work.UNSLOTH_SHARE if rollout == "unsloth" else shape.vllm_share
    return [
        *common_overrides(shape, job, asked, hardware if cuda else "cpu"),
        "reward=spread",
        "dataset.gold=null",
        "health.rules.truncated.stop=null",
        f"rollout={rollout if vllm else 'generate'}",
        # The cache's size is given; this is what vLLM asks to be free beside the other sides, Unsloth's of what is.
        *([f"rollout.gpu_memory_utilization={share}"] if vllm else []),
    ]


def common_overrides(shape: work.Shape, job: dict[str, Any], asked: dict[str, Any], hardware: str) -> list[str]:
    """What rlexp's command line says whatever it trains: the model, the machine, the trainer's arguments."""
    return [
        f"hydra.run.dir={job['folder']}/run",
        f"model.path={job['model']}",
        "model.prepare=null",
        f"model.max_seq_length={job['max_length']}",
        "held_out.rows=0",
        "preflight.smoke=never",
        f"hardware={hardware}",
        f"hardware.sequences_per_device={shape.micro}",
        f"hardware.gradient_checkpointing={str(shape.checkpointing).lower()}",
        f"method.prompts_per_step={shape.prompts}",
        *(f"method.{key}={_hydra(value)}" for key, value in asked.items()),
    ]


def _under(settings: dict[str, Any], part: str) -> dict[str, Any]:
    return {key.removeprefix(f"{part}."): value for key, value in settings.items() if key.startswith(f"{part}.")}


def _hydra(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_hydra(item)}" for key, item in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value)


def surroundings() -> dict[str, str]:
    """The environment of every process: one GPU, no hub, this project's sources, Python's bytecode kept."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        "CUDA_VISIBLE_DEVICES": "0",
        "HF_HUB_OFFLINE": "1",
        **own,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")])),
    }


def kept(folder: Path) -> dict[str, str]:
    """Where kernels are kept, for all processes the same, so that an engine need not compile what another one did."""
    return {name: str(folder / "kernels" / part) for name, part in work.CACHES.items()}


def maker(shape: str, folder: Path) -> list[str]:
    """The command that makes the model of a shape, unless it was made before."""
    return [sys.executable, str(ROOT / "perf/sides/work.py"), shape, str(folder)]


def project(folder: Path, environment: dict[str, str]) -> None:
    """A copy of the project with the benchmark's reward, and its data snapshot."""
    copied(folder)
    shutil.copyfile(ROOT / "perf/sides/spread.py", folder / "rewards/spread.py")
    (folder / "conf/reward/spread.yaml").write_text("terms: {spread: {file: rewards/spread.py}}\n")
    prepared(folder, environment, ["reward=spread", "dataset.gold=null"])


def copied(folder: Path) -> None:
    """A copy of the project's own files."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in PROJECT:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copyfile(source, target)


def prepared(folder: Path, environment: dict[str, str], typed: list[str]) -> None:
    """Makes the data snapshot that the overrides name."""
    prepare = [sys.executable, "-m", "rlexp", "prepare", *typed, "hardware=cpu"]
    done = subprocess.run(prepare, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def result(side: Side, shape: work.Shape) -> dict[str, Any] | None:
    """The figures of a side; None before its first round."""
    rounds = side.rounds
    if not rounds:
        return None
    steps = [seconds for done in rounds for seconds in done["steps"]]
    tokens = [count for done in rounds for count in done["completion_tokens"]]
    split = [parts for done in rounds for parts in done["split"]]
    metrics = side.folder / "run/metrics.jsonl"
    if side.base == "rlexp" and metrics.exists():
        lines = [json.loads(line) for line in metrics.read_text().splitlines()][side.job["warm"] :]
        timed = [{k: v for k, v in line["timing"].items() if k.startswith("step_time/")} for line in lines]
        split = [{k.removeprefix("step_time/"): v for k, v in parts.items()} for parts in timed if parts]
    names = dict.fromkeys(name for parts in split for name in parts)
    laps = side.read("warm.json") or {}
    return {
        "side": side.name,
        "shape": f"{shape.prompts} x {shape.completions} x {shape.tokens}",
        "step_s": round(statistics.median(steps), 4),
        "step_s_min_max": [round(min(steps), 4), round(max(steps), 4)],
        "round_medians_s": [round(statistics.median(done["steps"]), 4) for done in rounds],
        "steps": len(steps),
        "completion_tokens_a_step": statistics.mean(tokens),
        "tokens_per_s": round(sum(tokens) / sum(steps), 1),
        "prompt_tokens": round(rounds[-1]["prompt_tokens"], 1),
        "reward_std": rounds[-1]["reward_std"],
        "split_s": {name: round(statistics.median(p.get(name, 0.0) for p in split), 4) for name in names},
        "memory": {**rounds[-1]["memory"], "nvidia_smi_mib": side.gpu_mib},
        "seconds_to_first_step": {name: round(value, 1) for name, value in laps.items()},
    }


def differences(sides: list[Side]) -> list[str]:
    """Trainer arguments and model facts that are not the same on every side."""
    held = {side.name: side.read("effective.json") for side in sides}
    held = {name: content for name, content in held.items() if content}
    lines = []
    for key in sorted({key for content in held.values() for key in content}):
        values = {name: content.get(key, "(none)") for name, content in held.items()}
        if key not in NAMES_ONLY and any(value != next(iter(values.values())) for value in values.values()):
            lines.append(f"  {key}: " + "; ".join(f"{name} {value}" for name, value in values.items()))
    return lines


def table(results: list[dict[str, Any]], shape: work.Shape) -> str:
    """Markdown: every trainer against the best of the hand-written sides with vLLM, and against the floor."""
    best = min((r["step_s"] for r in results if r["side"] in ("trl_vllm", "unsloth")), default=None)
    card = next((c for name, c in work.CARDS.items() if name in str(results[0]["memory"].get("card"))), None)
    floor = work.floor(shape, results[0]["prompt_tokens"], card) if card else None
    heads = ["side", "step s, median (min-max)", "/ best by hand", "/ floor", "tokens/s", "peak GiB, allocated"]
    heads += ["reserved", "to first step s", "split"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * 7 + "---|"]
    for r in results:
        low, high = r["step_s_min_max"]
        memory, laps = r["memory"], r["seconds_to_first_step"]
        parts = sorted((item for item in r["split_s"].items() if item[0] != "step"), key=lambda item: -item[1])
        cells = [
            r["side"],
            f"{r['step_s']:.3f} ({low:.3f}-{high:.3f})",
            f"{r['step_s'] / best:.2f}" if best else "",
            f"{r['step_s'] / floor.seconds:.2f}" if floor else "",
            f"{r['tokens_per_s']:.0f}",
            f"{memory['allocated_gib']:.1f}" if "allocated_gib" in memory else "",
            f"{memory['reserved_gib']:.1f}" if "reserved_gib" in memory else "",
            f"{laps.get('first_step_ends', 0):.0f}",
            ", ".join(f"{name} {value:.3f}" for name, value in parts),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    if floor:
        lines += ["", f"floor {floor.seconds:.2f} s on {results[0]['memory']['card']}:"]
        lines += [f"- {text}" for text in floor.formula]
    return "\n".join(lines)


def measure(sides: list[Side], options: argparse.Namespace, shape: work.Shape, until: float) -> list[dict[str, Any]]:
    """Rounds in turn, then the profiles; what is not ready in time for them is left out."""
    results = []
    for side in sides:
        if (laps := side.await_("warm.json", until - (1 - READY) * options.limit)) is not None:
            print(json.dumps({"side": side.name, "warm": laps}), flush=True)
        else:
            side.end()
    for number in range(options.rounds):
        for side in sides if number % 2 == 0 else sides[::-1]:
            side.turn(until)
    for side in sides:
        if options.profile and len(side.rounds) == options.rounds:
            (side.folder / f"go.{options.rounds}").touch()
            lines = side.await_("profile.json", until) or []
            (side.folder / "profile.txt").write_text("\n".join(lines))
            if options.profile == "device":
                print(f"{side.name}, the passes of a step:", *lines, sep="\n", flush=True)
        if (figures := result(side, shape)) is not None:
            results.append(figures)
            print(json.dumps(figures), flush=True)
    return results


def parser(description: str, sides: str, methods: tuple[str, ...] = ()) -> argparse.ArgumentParser:
    """The command line that the benchmarks share; its first word is one of the methods, where there are several."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if methods:
        made.add_argument("method", choices=methods)
    made.add_argument("shape", choices=work.SHAPES)
    made.add_argument("--sides", default=sides, help="in this order; default %(default)s")
    made.add_argument("--variant", action="append", default=[])
    made.add_argument("--steps", type=int, default=4, help="steps a round")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--warm", type=int, default=2, help="steps before the first round")
    made.add_argument(
        "--profile",
        choices=("host", "device"),
        help="one step more a side: all of it under cProfile, or its passes under torch.profiler; profile.txt",
    )
    made.add_argument("--alone", action="store_true", help="one side after the other: for seconds to the first step")
    made.add_argument("--stagger", type=float, default=0, help="seconds by which a side starts after the one before")
    made.add_argument("--limit", type=float, default=570, help="seconds after which it prints what it has")
    made.add_argument("--work", type=Path, default=Path("/tmp/rlexp-benchmark"), help="models, caches, sides' folders")
    made.add_argument("--hardware", default="h100", help="rlexp's option on a GPU")
    for name in SHAPED:
        made.add_argument(f"--{name.replace('_', '-')}", type=float, help="instead of the shape's")
    made.add_argument("--checkpointing", choices=("on", "off"), help="instead of the shape's")
    return made


def shaped(shape: work.Shape, options: argparse.Namespace) -> work.Shape:
    """The shape with what the command line says instead."""
    for name in SHAPED:
        if (value := getattr(options, name)) is not None:
            shape = dataclasses.replace(shape, **{name: type(getattr(shape, name))(value)})
    if options.checkpointing:
        shape = dataclasses.replace(shape, checkpointing=options.checkpointing == "on")
    return shape


@contextlib.contextmanager
def made(options: argparse.Namespace) -> Iterator[tuple[Path, dict[str, str], subprocess.Popen[bytes]]]:
    """The folder of the work, the environment of the processes in it, and the process that makes the model there."""
    folder = options.work.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    environment = surroundings()
    making = subprocess.Popen(maker(options.shape, folder / "models" / options.shape), env=environment)
    try:
        yield folder, environment, making
    finally:
        making.kill()


def train_in_turn(
    sides: list[Side],
    options: argparse.Namespace,
    shape: work.Shape,
    until: float,
    environment: dict[str, str],
    making: subprocess.Popen[bytes],
) -> list[dict[str, Any]]:
    """Starts the sides, all at once or one after the other, and measures them; none is left running."""
    results: list[dict[str, Any]] = []
    try:
        for group in [[side] for side in sides] if options.alone else [sides]:
            if options.alone:
                making.wait()
            for number, side in enumerate(group):
                time.sleep(options.stagger if number else 0)
                side.start(environment)
            results += measure(group, options, shape, until)
            for side in group:
                side.end()
    finally:
        for side in sides:
            side.end()
    told = differences(sides)
    print("the trainers hold the same" if not told else "the trainers hold otherwise:\n" + "\n".join(told))
    return results


def main() -> None:
    """Reads the command line, starts the sides and prints what they measured."""
    options = parser(str(__doc__), "trl_vllm,unsloth,rlexp").parse_args()
    until, cuda = time.time() + options.limit, shutil.which("nvidia-smi") is not None
    shape = shaped(work.SHAPES[options.shape], options)
    with made(options) as (folder, environment, making):
        project(folder / "project", environment)
        results = train_in_turn(jobs(options, shape, folder, cuda), options, shape, until, environment, making)
    if results:
        counts = {r["completion_tokens_a_step"] for r in results}
        print(f"completion tokens a step: {sorted(counts)}\n\n{table(results, shape)}")


if __name__ == "__main__":
    main()
