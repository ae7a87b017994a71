"""Start-up: seconds from the command to the first step, with compiled kernels and without, on one GPU.

Runs ``python -m rlexp`` several times, each in a fresh process, with one cache folder (XDG_CACHE_HOME): first empty,
then as the runs before left it; with ``--cold-again`` once more from empty at the end, when the libraries' files are in
memory: what it takes less than the first is the disk's part, what it takes more than the warm ones the compilers'.
``--kernels`` begins with the kernels that grpo_gpu.py and decode_gpu.py left in the work folder instead of none, and
``--engine`` adds settings of vLLM (vllm_settings.py), each with a first run that may compile and its own warm ones.
Figures are the run's own laps (``manifest.json``), moved to the time at which the command was given, and the phases of
vLLM's start by its log. ``--samples`` adds a warm run whose calls are sampled: where the time goes, as a tree.

Usage, from the project folder:
  python perf/startup_gpu.py 4b                              # rollout=auto; 135m, 1.7b
  python perf/startup_gpu.py 135m --rollout colocate --warm 3 --cold-again
  python perf/startup_gpu.py 135m --rollout colocate --kernels --engine decode_graphs --samples
  python perf/startup_gpu.py 4b --verb smoke preflight.smoke_steps=3
  python perf/startup_gpu.py tiny --rollout generate         # tries the script on a CPU
The shape says the work of a step and, without --model FOLDER, the model (random weights, made on the spot). What
follows the options are overrides of the command line.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpo_gpu
import vllm_settings

sys.path.insert(0, str(grpo_gpu.ROOT / "src"))
from rlexp.backend.compile_cache import FOLDERS, GENERATED

SAMPLED = "sampled"
"""The run whose calls are listed; a little slower than a warm one."""
LAPS = ("started", "locked", "imported", "loaded", "smoked", "built", "first_step_ends", "total")
"""Columns, in the order in which a run passes them; those that no run passed are left out."""


def overrides(options: argparse.Namespace, model: Path, cuda: bool) -> list[str]:
    """The command line of every run but its folder."""
    shape = grpo_gpu.work.SHAPES[options.shape]
    length = 96 if options.shape == "tiny" else shape.tokens + 128
    job = {"folder": "", "model": str(model), "max_length": length, "max_steps": options.steps}
    vllm = options.rollout != "generate"
    said = grpo_gpu.overrides(shape, job, vllm, cuda, options.hardware, options.rollout)
    return [text for text in said if not text.startswith("hydra.run.dir=")] + options.overrides


def measure(
    name: str, options: argparse.Namespace, said: list[str], project: Path, environment: dict[str, str], until: float
) -> dict[str, Any]:
    """One run in a process of its own: its laps since the command was given, and the cache it used.

    Raises:
        SystemExit: it failed, or the time is up; the end of what it said is printed.
    """
    folder = project / "outputs" / f"startup-{time.time_ns()}"
    sampled = project / "calls.txt"
    program = [str(Path(__file__).parent / "sides/sampled.py"), str(sampled)] if name == SAMPLED else ["-m", "rlexp"]
    command = [sys.executable, *program, *([options.verb] if options.verb else []), f"hydra.run.dir={folder}"]
    began = time.time()
    try:
        done = subprocess.run(
            command + said, cwd=project, env=environment, capture_output=True, text=True, timeout=until - began
        )
    except subprocess.TimeoutExpired as error:
        raise SystemExit(f"{name}: not ended after {time.time() - began:.0f} s") from error
    ended = time.time() - began
    if done.returncode:
        log = folder / "libraries.log"
        heard = log.read_text(errors="replace")[-3000:] if log.exists() else ""
        raise SystemExit(f"{name}: {heard}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    manifest = json.loads((folder / "manifest.json").read_text())
    offset = manifest["started_unix"] - began
    laps = {"started": offset} | {lap: seconds + offset for lap, seconds in manifest["timings_s"].items()}
    laps["total"] = ended
    log = folder / "libraries.log"
    return {
        "run": name,
        "laps": laps,
        "phases": vllm_settings.phases(log.read_text(errors="replace") if log.exists() else ""),
        "calls": sampled.read_text().splitlines() if name == SAMPLED else [],
        "cache": manifest.get("compile_cache"),
        "machine": manifest["machine"],
    }


def planned(options: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """(name, further overrides) of every run; a name that begins with ``cold`` begins with an empty cache."""
    runs: list[tuple[str, list[str]]] = [("first" if options.kernels else "cold", []), *[("warm", [])] * options.warm]
    for text in options.engine:
        name, pairs = vllm_settings.setting(text)
        said = [f"rollout.{'' if pair.startswith('enforce_eager=') else 'engine.'}{pair}" for pair in pairs]
        runs += [(f"{name}, first", said), *[(name, said)] * options.warm]
    return [*runs, *[(SAMPLED, [])] * options.samples, *[("cold again", [])] * options.cold_again]


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown, a row a run."""
    laps = [lap for lap in LAPS if any(lap in run["laps"] for run in runs)]
    phases = list(dict.fromkeys(phase for run in runs for phase in run["phases"]))
    heads = ["seconds from the command", *laps, "cache before, MiB", "after", *(f"vLLM {phase}" for phase in phases)]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for run in runs:
        cells = [f"{run['laps'][lap]:.1f}" if lap in run["laps"] else "" for lap in laps]
        cache = run["cache"]
        cells += [f"{cache[end] / 2**20:.0f}" if cache else "none" for end in ("bytes_before", "bytes_after")]
        cells += [f"{run['phases'][phase]:.0f}" if phase in run["phases"] else "" for phase in phases]
        lines.append("| " + " | ".join([run["run"], *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Reads the command line, makes project and model, runs and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=grpo_gpu.work.SHAPES)
    parser.add_argument("--model", type=Path, help="a model folder instead of the shape's")
    parser.add_argument("--rollout", default="auto", choices=("auto", "unsloth", "colocate", "generate"))
    parser.add_argument("--verb", choices=("smoke",), help="instead of training")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--warm", type=int, default=2, help="runs with the cache of those before")
    parser.add_argument("--engine", action="append", default=[], help="settings of vLLM (vllm_settings.py)")
    parser.add_argument("--kernels", action="store_true", help="begin with those of the other benchmarks in --work")
    parser.add_argument("--samples", action="store_true", help="a warm run more, with the time of its calls")
    parser.add_argument("--cold-again", action="store_true", help="one more with an empty cache, at the end")
    parser.add_argument("--hardware", default="auto")
    parser.add_argument("--work", type=Path, default=Path("/tmp/rlexp-benchmark"), help="model, project, cache")
    parser.add_argument("--limit", type=float, default=570, help="seconds after which it gives up")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_intermixed_args()
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
        for name, more in planned(options):
            if name.startswith("cold"):
                shutil.rmtree(cache, ignore_errors=True)
            runs.append(measure(name, options, said + more, folder / "project", environment, until))
            print(json.dumps(runs[-1] | {"calls": None}), *runs[-1]["calls"], sep="\n", flush=True)
    finally:
        if runs:
            print(f"\n{', '.join(runs[0]['machine'].get('gpus', ['no GPU']))}, {options.shape}, {options.rollout}\n")
            print(table(runs))


if __name__ == "__main__":
    main()
