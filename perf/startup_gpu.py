"""Start-up: seconds from the command to the end of the first step, with compiled kernels and without, on one GPU.

Runs ``python -m rlexp`` several times, each in a fresh process, with one cache folder (XDG_CACHE_HOME): first empty,
then as the runs before left it; with ``--cold-again`` once more from empty at the end, when the libraries' files are in
memory: what it takes less than the first is the disk's part, what it takes more than the warm ones the compilers'.
``--pairs N`` begins with N pairs of cold starts, each with empty caches: ours and TRL + vLLM by hand, in turn first.
``--kernels`` begins with the kernels that grpo_gpu.py and decode_gpu.py left in the work folder instead of none,
``--engine`` adds settings of vLLM (vllm_settings.py), each with a first run that may compile and its own warm ones, and
``--variant`` a command of ours with other overrides or environment variables: a cold start and its own warm ones.
``--smoke`` adds a cold start with the smoke's steps in front, and says which share of 150 steps it takes.
Figures are the run's own laps (``manifest.json``), moved to the time at which the command was given, and the phases of
vLLM's start by its log. ``--samples`` has the calls of the main thread sampled, of every cold start or of a warm one
more: where the time goes, as a tree.

Usage, from the project folder:
  python perf/startup_gpu.py 4b                              # rollout=auto; 135m, 1.7b
  python perf/startup_gpu.py 4b --pairs 3 --warm 2 --steps 6 --smoke   # the whole table, about 15 minutes
  python perf/startup_gpu.py 135m --rollout colocate --warm 3 --cold-again
  python perf/startup_gpu.py 135m --rollout colocate --kernels --engine decode_graphs --samples warm
  python perf/startup_gpu.py 4b --variant 'no graphs: rollout.enforce_eager=true env.TORCHINDUCTOR_COMPILE_THREADS=1'
  python perf/startup_gpu.py 4b --verb smoke preflight.smoke_steps=3
  python perf/startup_gpu.py tiny --rollout generate         # tries the script on a CPU
The shape says the work of a step and, without --model FOLDER, the model (random weights, made on the spot). What
follows the options are overrides of the command line.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpo_gpu
import vllm_settings

sys.path.insert(0, str(grpo_gpu.ROOT / "src"))
from rlexp.backend.compile_cache import FOLDERS, GENERATED

LAPS = ("started", "imported", "locked", "loaded", "smoked", "built", "first_step_ends", "total")
"""Columns, in the order in which a run passes them; those that no run passed are left out."""
BY_HAND = "TRL + vLLM by hand"
ENDING = {
    "generate": "{sequence_bias:[[[2],8.0]]}",
    "vllm": f"{{allowed_token_ids:{[2, *range(100, 400)]}}}".replace(" ", ""),
}
"""How a model of random weights samples in a smoke, so that most completions end by themselves: 2 ends one."""
STEPS = 150
"""Of the run of which a smoke takes a share."""


@dataclass(frozen=True)
class Start:
    """One process to start."""

    name: str
    said: list[str] = field(default_factory=list)
    """Further overrides."""
    environment: dict[str, str] = field(default_factory=dict)
    cold: bool = False
    """With an empty cache."""
    sampled: bool = False
    """Its calls are listed; a little slower."""
    by_hand: bool = False


def overrides(options: argparse.Namespace, model: Path, cuda: bool) -> list[str]:
    """The command line of every run but its folder."""
    shape = grpo_gpu.work.SHAPES[options.shape]
    length = 96 if options.shape == "tiny" else shape.tokens + 128
    job = {"folder": "", "model": str(model), "max_length": length, "max_steps": options.steps}
    vllm = options.rollout != "generate"
    said = grpo_gpu.overrides(shape, job, vllm, cuda, options.hardware, options.rollout)
    return [text for text in said if not text.startswith("hydra.run.dir=")] + options.overrides


def measure(
    start: Start, options: argparse.Namespace, said: list[str], work: Path, environment: dict[str, str], until: float
) -> dict[str, Any]:
    """One run in a process of its own: its laps since the command was given, and the cache it used.

    Raises:
        SystemExit: it failed, or the time is up; the end of what it said is printed.
    """
    project = work / "project"
    folder = project / "outputs" / f"startup-{time.time_ns()}"
    sampled = project / "calls.txt"
    program = [str(Path(__file__).parent / "sides/sampled.py"), str(sampled)] if start.sampled else ["-m", "rlexp"]
    command = [sys.executable, *program, *([options.verb] if options.verb else []), f"hydra.run.dir={folder}"]
    instead = {text.partition("=")[0] for text in start.said}  # a mapping typed twice would be one of both
    without = [text for text in said if text.partition("=")[0] not in instead]
    began = time.time()
    try:
        done = subprocess.run(
            [*command, *without, *start.said],
            cwd=project,
            env=environment | start.environment,
            capture_output=True,
            text=True,
            timeout=until - began,
        )
    except subprocess.TimeoutExpired as error:
        raise SystemExit(f"{start.name}: not ended after {time.time() - began:.0f} s") from error
    ended = time.time() - began
    log = folder / "libraries.log"
    heard = log.read_text(errors="replace") if log.exists() else ""
    if done.returncode:
        raise SystemExit(f"{start.name}: {heard[-3000:]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    manifest = json.loads((folder / "manifest.json").read_text())
    offset = manifest["started_unix"] - began
    laps = {"started": offset} | {lap: seconds + offset for lap, seconds in manifest["timings_s"].items()}
    laps["total"] = ended
    return {
        "run": start.name,
        "laps": laps,
        "step_s": manifest.get("step_time_s", {}).get("step"),
        "phases": vllm_settings.phases(heard),
        "stated": vllm_settings.stated(heard),
        "patches": {name: found["status"] for name, found in manifest.get("patches", {}).items()},
        "cache": manifest.get("compile_cache"),
        "machine": manifest["machine"],
        "calls": sampled.read_text().splitlines() if start.sampled else [],
        "heard": heard,
    }


def by_hand(options: argparse.Namespace, work: Path, environment: dict[str, str], until: float) -> dict[str, Any]:
    """TRL + vLLM by hand, started with empty caches: its first step, and the steps after it.

    Raises:
        SystemExit: it failed, or the time is up.
    """
    cuda = shutil.which("nvidia-smi") is not None
    cache = work / "cache-by-hand"
    shutil.rmtree(cache, ignore_errors=True)
    # Plain TRL trains on no CPU; there the script is only tried.
    asked: dict[str, Any] = {
        "sides": "trl_vllm" if cuda else "unsloth",
        "variant": [],
        "warm": 1,
        "steps": max(1, options.steps - 1),
        "rounds": 1,
        "profile": None,
    }
    (side,) = grpo_gpu.jobs(argparse.Namespace(**vars(options) | asked), options.work_of, work, cuda)
    side.job["kv_gib"] = 0  # vLLM measures, as ours does
    side.job["env"] |= {name: str(cache / part) for name, part in FOLDERS.items()} | {"XDG_CACHE_HOME": str(cache)}
    side.start(environment)
    try:
        laps = side.await_("warm.json", until)
        if options.steps > 1:
            side.turn(until)
    finally:
        side.end()
    if laps is None:
        raise SystemExit(f"{BY_HAND}: not ended, or failed: {side.folder / 'log.txt'}")
    heard = (side.folder / "log.txt").read_text(errors="replace")
    laps = {"started": laps["python"], "built": laps["first_step_begins"], **laps}
    phases, stated = vllm_settings.phases(heard), vllm_settings.stated(heard)
    return {
        "run": BY_HAND,
        "laps": laps,
        "step_s": statistics.median(side.rounds[0]["steps"]) if side.rounds else None,
        "phases": phases,
        "stated": stated,
        "cache": None,
        "calls": [],
        "heard": heard,
    }


def planned(options: argparse.Namespace) -> list[Start]:
    """Every start, in its order."""
    traced = options.samples in ("cold", "all")
    cold, warm = Start("cold", cold=True, sampled=traced), Start("warm")
    pair = [cold, Start(BY_HAND, by_hand=True)]
    starts = [start for number in range(options.pairs) for start in (pair[::-1] if number % 2 else pair)]
    if options.kept:
        pass
    elif options.kernels:
        starts.append(Start("first"))
    elif not (options.pairs or options.variant):
        starts.append(cold)
    starts += [warm] * options.warm if not options.variant or options.pairs else []
    for text in options.engine:
        name, pairs = vllm_settings.setting(text)
        said = [f"rollout.{'' if pair.startswith('enforce_eager=') else 'engine.'}{pair}" for pair in pairs]
        starts += [Start(f"{name}, first", said), *[Start(name, said)] * options.warm]
    for text in options.variant:
        name, _, rest = text.partition(":")
        said = [pair for pair in rest.split() if not pair.startswith("env.")]
        given = dict(pair.removeprefix("env.").split("=", 1) for pair in rest.split() if pair.startswith("env."))
        starts += [
            Start(f"{name}, cold", said, given, True, traced),
            *[Start(f"{name}, warm", said, given)] * options.warm,
        ]
    starts += [Start("warm, sampled", sampled=True)] if options.samples in ("warm", "all") else []
    ending = ENDING.get(options.rollout, ENDING["vllm"])
    smoked = Start("cold, with smoke", ["preflight.smoke=always", f"method.generation_kwargs={ending}"], cold=True)
    starts += [smoked] if options.smoke else []
    return [*starts, *[Start("cold again", cold=True)] * options.cold_again]


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown, a row a run."""
    laps = [lap for lap in LAPS if any(lap in run["laps"] for run in runs)]
    columns = [(key, name) for key in ("phases", "stated") for name in dict.fromkeys(n for r in runs for n in r[key])]
    heads = [
        "seconds from the command",
        *laps,
        "a step",
        "cache before, MiB",
        "after",
        *(f"vLLM {name}" for _, name in columns),
    ]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for run in runs:
        cells = [f"{run['laps'][lap]:.1f}" if lap in run["laps"] else "" for lap in laps]
        cache = run["cache"]
        cells.append(f"{run['step_s']:.2f}" if run.get("step_s") else "")
        cells += [f"{cache[end] / 2**20:.0f}" if cache else "" for end in ("bytes_before", "bytes_after")]
        cells += [f"{run[key][name]:.0f}" if name in run[key] else "" for key, name in columns]
        lines.append("| " + " | ".join([run["run"], *cells]) + " |")
    return "\n".join(lines)


def judged(runs: list[dict[str, Any]]) -> list[str]:
    """What the table is made for: ours by TRL's, warm by cold, and the share of a smoke."""

    def ends(name: str) -> list[float]:
        return [
            run["laps"]["first_step_ends"] for run in runs if run["run"] == name and "first_step_ends" in run["laps"]
        ]

    lines = []
    cold, warm, hand = ends("cold"), ends("warm"), ends(BY_HAND)
    for name, ours, theirs in ((f"cold / {BY_HAND}", cold, hand), ("warm / cold", warm, cold)):
        if ours and theirs:
            ratio = statistics.median(ours) / statistics.median(theirs)
            lines.append(f"{name}: {ratio:.2f} (medians of {len(ours)} and {len(theirs)})")
    steps = [run["step_s"] for run in runs if run.get("step_s") and run["run"] != BY_HAND]
    theirs = [run["step_s"] for run in runs if run.get("step_s") and run["run"] == BY_HAND]
    if steps and theirs:
        ours, by_hand = statistics.median(steps), statistics.median(theirs)
        lines.append(f"a step: {ours:.2f} s, {BY_HAND} {by_hand:.2f} s: {ours / by_hand:.2f}")
    smoked = ends("cold, with smoke")
    if smoked and cold and steps:
        whole = smoked[0] + (STEPS - 1) * statistics.median(steps)
        added = smoked[0] - statistics.median(cold)
        lines.append(f"the smoke adds {added:.1f} s: {added / whole:.1%} of {STEPS} steps, {whole:.0f} s")
    return lines


def main() -> None:
    """Reads the command line, makes project and model, runs and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=grpo_gpu.work.SHAPES)
    parser.add_argument("--model", type=Path, help="a model folder instead of the shape's")
    parser.add_argument("--rollout", default="auto", choices=("auto", "unsloth", "colocate", "generate"))
    parser.add_argument("--verb", choices=("smoke",), help="instead of training")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=0, help=f"cold starts of ours and of {BY_HAND}")
    parser.add_argument("--warm", type=int, default=2, help="runs with the cache of those before")
    parser.add_argument("--engine", action="append", default=[], help="settings of vLLM (vllm_settings.py)")
    parser.add_argument("--variant", action="append", default=[], help="'NAME: key=value ... env.NAME=value ...'")
    parser.add_argument("--kernels", action="store_true", help="begin with those of the other benchmarks in --work")
    parser.add_argument("--kept", action="store_true", help="begin with the kernels of an earlier call; no cold start")
    parser.add_argument("--samples", choices=("cold", "warm", "all"), help="list where their time went")
    parser.add_argument("--smoke", action="store_true", help="a cold start with the smoke's steps in front")
    parser.add_argument("--cold-again", action="store_true", help="one more with an empty cache, at the end")
    parser.add_argument("--hardware", default="auto")
    parser.add_argument("--work", type=Path, default=Path("/tmp/rlexp-benchmark"), help="model, project, cache")
    parser.add_argument("--out", type=Path, help="where logs and calls are written as well")
    parser.add_argument("--limit", type=float, default=570, help="seconds after which it gives up")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_intermixed_args()
    options.work_of = grpo_gpu.work.SHAPES[options.shape]
    until = time.time() + options.limit
    folder = options.work.resolve()
    model = (options.model or folder / "models" / options.shape).resolve()
    cuda = shutil.which("nvidia-smi") is not None
    environment = grpo_gpu.surroundings()
    if not options.model:
        subprocess.run(grpo_gpu.maker(options.shape, model), env=environment, check=True, timeout=options.limit)
    grpo_gpu.project(folder / "project", environment)
    cache = folder / "cache"
    environment["XDG_CACHE_HOME"] = str(cache)
    for name in (*FOLDERS, GENERATED):
        environment.pop(name, None)
    environment["VLLM_LOGGING_LEVEL"] = "INFO"  # TRL sets ERROR
    if options.kernels:
        environment |= grpo_gpu.kept(folder)
    said = overrides(options, model, cuda)
    runs: list[dict[str, Any]] = []
    try:
        for number, start in enumerate(planned(options)):
            if start.by_hand:
                runs.append(by_hand(options, folder, environment, until))
            else:
                if start.cold:
                    shutil.rmtree(cache, ignore_errors=True)
                runs.append(measure(start, options, said, folder, environment, until))
            told(runs[-1], options.out, number)
    finally:
        if runs:
            machine: dict[str, Any] = next((run["machine"] for run in runs if "machine" in run), {})
            print(f"\n{', '.join(machine.get('gpus', ['no GPU']))}, {options.shape}, {options.rollout}\n")
            print(table(runs), "", *judged(runs), sep="\n")


def told(run: dict[str, Any], out: Path | None, number: int) -> None:
    """Prints a run at once; its calls and vLLM's log, which are long, go into ``--out`` where that is said."""
    calls, heard = run.pop("calls"), run.pop("heard")
    short = {key: value for key, value in run.items() if key not in ("machine", "patches")}
    short["laps"] = {lap: round(seconds, 1) for lap, seconds in run["laps"].items()}
    print(json.dumps(short), *([] if out else calls), sep="\n", flush=True)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "starts.jsonl").open("a") as stream:
            stream.write(json.dumps(run) + "\n")
        (out / f"{number}.log").write_text(heard)
        (out / f"{number}.calls.txt").write_text("\n".join(calls))


if __name__ == "__main__":
    main()
