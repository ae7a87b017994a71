"""Exports on one GPU, a JSON line for each figure as soon as it is there; what fails is said, and the rest goes on.

``verdicts``: ``rlexp export`` of a run that lies in a project, with the gate on the GPU: for each artifact its verdict,
the divergence from the run on its own completions, greedy agreement, what its runtime said that it loaded, and the
seconds of loading. ``shape``: a model of a shape of ``sides/work.py`` (random weights, no hub needed) with a random
adapter: seconds and bytes of each format, and in its runtime tokens per second at 1 and 64 requests, and what vLLM
takes for a token's log-probabilities of the whole vocabulary.

Usage, from the project folder:
  python perf/export_gpu.py verdicts PROJECT outputs/run --hardware h200 --limit 360
  python perf/export_gpu.py shape 4b --limit 560
  python perf/export_gpu.py shape tiny --hardware cpu --formats merged,compressed-w4a16,torchao-int8   # tries it
  python perf/export_gpu.py verdicts PROJECT outputs/run --hardware cpu --formats merged+torchao --rows 8 --tokens 256
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "sides"))
import work

from rlexp.benchmark import latency
from rlexp.export import formats, merged
from rlexp.export.formats import FORMATS, Making
from rlexp.export.gate import verdict
from rlexp.record import exports
from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import Sampling, Spec

ROOT = Path(__file__).parents[1]
SAID = ("mean_kld", "median_kld", "p99.9_kld", "max_kld", "rms_delta_p", "same_top_p", "adapter_share")
ALL = "merged,compressed-fp8,compressed-w4a16,torchao-fp8,torchao-int4,torchao-int8"
PROMPT, ANSWER, CONTEXT = 128, 128, 512
"""Tokens."""


def say(**values: Any) -> None:
    """A line."""
    print(json.dumps(values), flush=True)


def attempt(step: str, function: Callable[[], Any]) -> Any:
    """What a step gives; None where it fails, which is said."""
    try:
        return function()
    except Exception as error:
        say(step=step, failed=f"{type(error).__name__}: {str(error)[-1500:]}")
        return None


def judged(file: Path) -> None:
    """Says what the gate measured of an artifact."""
    found = json.loads(file.read_text())["found"]
    copied = file.with_name("merged.json")
    other = json.loads(copied.read_text())["found"] if copied.is_file() and copied != file else None
    of = verdict.judge(found, found["baselines"], copied=other)
    divergence = found.get("divergence") or {}
    say(
        artifact=file.stem,
        verdict=of.verdict,
        reasons=of.reasons,
        **{name: divergence[name] for name in (*SAID, "tokens") if name in divergence},
        **{name: found.get(name) for name in ("loaded", "load_s", "tokens_per_s", "peak_gib", "greedy", "stopped")},
        baselines={name: one["mean_kld"]["value"] for name, one in found["baselines"].items()},
        prompts={name: one for name, one in found.get("prompts", {}).items() if name.endswith("differ")},
        died=found.get("died"),
    )


def verdicts(options: argparse.Namespace) -> None:
    """Runs the export, and says what the gate measured as its files appear."""
    folder = options.project / "exports/of_gpu"
    shutil.rmtree(folder, ignore_errors=True)
    typed = ["export", options.run, f"export={options.formats}", "export.dir=exports/of_gpu"]
    typed += [f"export.gate.rows={options.rows}", f"export.gate.tokens={options.tokens}"]
    typed += [f"hardware={options.hardware}", *options.more, "--json"]
    began, seen = time.time(), set[Path]()
    with (options.project / "export_gpu.json").open("w+") as out, (options.project / "export_gpu.log").open("w") as log:
        child = subprocess.Popen(
            *([sys.executable, "-m", "rlexp", *typed],),
            **{"cwd": options.project, "stdout": out, "stderr": log, "start_new_session": True},
        )
        while True:
            ended = child.poll() is not None
            for file in sorted(set(folder.glob("gate/*.json")) - seen):
                seen.add(file)
                attempt(file.stem, functools.partial(judged, file))
            if ended:
                break
            if time.time() - began > options.limit:
                os.killpg(child.pid, signal.SIGKILL)
            time.sleep(0.5)
        out.seek(0)
        said = out.read()
    say(exit_code=child.returncode, wall_s=round(time.time() - began, 1))
    if child.returncode:
        say(log=(options.project / "export_gpu.log").read_text()[-3000:], answer=said[-1500:])
    for one in exports.artifacts(folder):
        say(artifact=one.name, made_s=one.content["seconds"], bytes=one.size, mix=one.content["mix"])
        say(artifact=one.name, note=one.content["note"], tools=one.content["tools"])
    if (folder / exports.MANIFEST).is_file():
        for name, one in json.loads((folder / exports.MANIFEST).read_text())["artifacts"].items():
            shown = one["snippet"] or {}
            say(artifact=name, verdict=one["verdict"], reasons=one["reasons"], task=one["task"])
            say(artifact=name, program_gives_the_same=shown.get("same"), program_said=shown.get("said"))


def adapter(base: Path, folder: Path, rank: int = 16) -> None:
    """Writes a random LoRA adapter of all linear layers, with the tokenizer beside it, as a run leaves it."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    for name in merged.TRAVELS:
        for path in base.glob(name):
            shutil.copyfile(path, folder / path.name)
    torch.manual_seed(0)
    tensors = {}
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(file, "pt") as held:
            for name in held.keys():  # noqa: SIM118
                if name.removesuffix(".weight").rpartition(".")[2] in work.TARGETS:
                    outputs, inputs = held.get_slice(name).get_shape()
                    layer = f"base_model.model.{name.removesuffix('.weight')}"
                    tensors[f"{layer}.lora_A.weight"] = torch.randn(rank, inputs) / inputs**0.5
                    tensors[f"{layer}.lora_B.weight"] = torch.randn(outputs, rank) * 1e-3
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": work.TARGETS}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def made(name: str, folder: Path, options: argparse.Namespace) -> Path:
    """Makes an artifact of the shape, and says what it took."""
    place, began = folder / name, time.perf_counter()
    kind, _, type_name = name.partition("-")
    if kind == "merged":
        base = folder / "adapter"
        found = merged.write(SimpleNamespace(base=options.model, adapter=base, own=base), place)  # type: ignore[arg-type]
    else:
        place.mkdir()
        device = "cpu" if options.hardware == "cpu" else "cuda"
        found = formats.make(kind, Making(folder / "merged", place, type_name, None, list, device))
    seconds = time.perf_counter() - began
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    began = time.perf_counter()
    exports.hashed(place)
    hashed = time.perf_counter() - began
    say(artifact=name, made_s=round(seconds, 2), hashed_s=round(hashed, 2), bytes=size, mix=found.mix, note=found.note)
    return place


def spec_of(name: str, place: Path, options: argparse.Namespace) -> Spec:
    """How it is loaded: in what a user of a GPU would take."""
    form, on_gpu = FORMATS[name.partition("-")[0]], options.hardware != "cpu"
    runtime = form.gpu_runtime if on_gpu and form.gpu_runtime else form.runtime
    together = max(map(int, options.together.split(",")))
    return Spec(runtime, place, device="cuda" if on_gpu else "cpu", context=CONTEXT, together=together)


def asked(name: str, place: Path, options: argparse.Namespace) -> None:
    """Loads it, and says how fast it answers random prompts."""
    spec, draw = spec_of(name, place, options), random.Random(0)
    size = json.loads((place / "config.json").read_text())["vocab_size"]
    prompts = [[draw.randrange(size) for _ in range(PROMPT)] for _ in range(spec.together)]
    with Host(spec, limit=180) as host:
        say(artifact=name, loaded=host.loaded, load_s=round(host.load_s, 1), imports_s=round(host.imported_s, 1))
        for together in map(int, options.together.split(",")):
            groups = latency.ask(host, prompts, Sampling(ANSWER), together, max(4, together))
            say(artifact=name, prompt_tokens=PROMPT, **latency.summary(groups, together))
        if spec.runtime == "vllm":
            began = time.perf_counter()
            rows = [host.logprobs(one, 1) for one in prompts[:4]]
            seconds = (time.perf_counter() - began) / sum(map(len, rows))
            say(artifact=name, logprobs_ms_a_token=round(1e3 * seconds, 3), vocabulary=rows[0].shape[1])
        say(artifact=name, peak_gib=round(host.peak_gib(), 2))


def shape(options: argparse.Namespace) -> None:
    """Makes and asks one artifact after the other, until the time is up."""
    until, folder = time.time() + options.limit, options.work / "export" / options.shape
    options.model = options.work / "models" / options.shape
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    if not options.model.is_dir():
        made_by = [sys.executable, str(ROOT / "perf/sides/work.py"), options.shape, str(options.model)]
        subprocess.run(made_by, check=True)
    adapter(options.model, folder / "adapter")
    say(shape=options.shape, model_and_adapter_s=round(time.perf_counter() - began, 1))
    for name in options.formats.split(","):
        if time.time() > until:
            say(artifact=name, left_out="the time is up")
            continue
        place = attempt(f"{name}: making", functools.partial(made, name, folder, options))
        if place:
            attempt(f"{name}: asking", functools.partial(asked, name, place, options))
        if name != "merged":
            shutil.rmtree(folder / name, ignore_errors=True)


def main() -> None:
    """Reads the command line and does a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    one = steps.add_parser("verdicts")
    one.add_argument("project", type=Path)
    one.add_argument("run")
    one.add_argument("--formats", default="merged+compressed+torchao")
    one.add_argument("--rows", type=int, default=32)
    one.add_argument("--tokens", type=int, default=4096)
    one.add_argument("--limit", type=float, default=360, help="seconds")
    one.add_argument("--more", nargs="*", default=["export.torchao.types=[int8,int4,fp8]"], help="more overrides")
    two = steps.add_parser("shape")
    two.add_argument("shape", choices=work.SHAPES)
    two.add_argument("--formats", default=ALL)
    two.add_argument("--together", default="1,64")
    two.add_argument("--limit", type=float, default=560, help="seconds after which no format is begun")
    two.add_argument("--work", type=Path, default=Path("/tmp/rlexp-benchmark"))
    for each in (one, two):
        each.add_argument("--hardware", default="h200")
    options = parser.parse_args()
    ours = str(ROOT / "src")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH")]))
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    {"verdicts": verdicts, "shape": shape}[options.step](options)


if __name__ == "__main__":
    main()
