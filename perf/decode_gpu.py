"""Where the time of a decoded token goes: one vLLM as TRL and rlexp start it, kernel by kernel, under several settings.

Every setting has a process of its own, one after the other: it starts the engine on the shape's model (random weights,
as grpo_gpu.py makes it), fills it with a step's completions at half their length (the mean context of a rollout), and
decodes ``--tokens`` tokens of each: without the profiler (``wall``), then under torch.profiler. Both with the
log-probability of every sampled token, as TRL asks for it, and without. No TRL, no trainer: a minute a setting, half
of it where nothing is compiled.

- wall: milliseconds a token of all sequences, host and device, without the profiler.
- device: in which some kernel runs; idle is wall less device. host: the thread that schedules, less its waits for the
  device; profiled, so too high.
- completions: ``LLM.generate`` of a whole step, three times; an adapter is not folded in for it.
- groups: sums of kernels; streams overlap a little, so that they may add up to more than ``device``.

Usage, from the project folder:
  python perf/decode_gpu.py 4b                                        # vLLM's defaults
  python perf/decode_gpu.py 4b --engine default --engine sync --engine decode_graphs --engine lora
  python perf/decode_gpu.py 4b --engine 'sizes: cudagraph_capture_sizes=[1,2,4,8,16,24,32]'
  python perf/decode_gpu.py 4b --engine default --engine unsloth      # 'unsloth+NAME: KEY=VALUE ...' likewise
  python perf/decode_gpu.py 4b --dry                                  # what would run; on any machine
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

sys.path.insert(0, str(Path(__file__).parent))
import grpo_gpu
import vllm_settings

import kernels  # isort: skip  # of sides/, where grpo_gpu looks
import work  # isort: skip


def floor_ms(shape: work.Shape, context: float, card: work.Card) -> float:
    """Milliseconds in which the bytes that a token needs can be read: all weights, and every sequence's cache."""
    weights = 2 * (shape.layer_weights + shape.head_weights)
    cache = 2 * shape.layers * shape.kv_heads * shape.head_dim * 2 * shape.sequences * context
    return (weights + cache) / card.bandwidth * 1000


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: two rows a setting, with log-probabilities and without, in milliseconds a token."""
    groups = [*(name for name, _ in kernels.GROUPS), "other"]
    heads = [
        "ms a token",
        "log-probs",
        "wall",
        "device",
        "idle",
        "host",
        *groups,
        "graphs",
        "kernels",
        "engine start s",
    ]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for result in results:
        for number, one in enumerate(result["passes"]):
            figures = [one["wall_ms"], one["device_ms"], max(0.0, one["wall_ms"] - one["device_ms"])]
            figures += [one["profiled_ms"] - one["waits_ms"], *(one["groups_ms"][name] for name in groups)]
            cells = [result["name"] if number == 0 else "", "yes" if one["logprobs"] else "no"]
            cells += [f"{figure:.3f}" for figure in figures]
            cells += [f"{one['graphs']:.1f}", f"{one['kernels']:.0f}"]
            cells += [f"{result['engine_s']:.0f}" if number == 0 else ""]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def job(options: argparse.Namespace, shape: work.Shape, folder: Path, name: str, pairs: list[str]) -> dict[str, Any]:
    """What the process of a setting is told."""
    prompt = options.prompt or shape.tokens // 2
    return {
        "name": name,
        "engine": vllm_settings.tree(pairs),
        "unsloth": name.partition("+")[0] == "unsloth",
        "folder": str(folder / "decode" / name),
        "model": str(folder / "models" / options.shape),
        "prompts": shape.prompts,
        "sequences": shape.sequences,
        "vocabulary": shape.vocabulary,
        "prompt": prompt,
        # As grpo_gpu.py's, where that is enough: vLLM compiles anew for another length.
        "length": max(shape.tokens + 128, prompt + 2 * options.tokens + 32),
        "tokens": options.tokens,
        "completion": shape.tokens,
        "kv_gib": shape.kv_gib,
        "share": shape.vllm_share,
    }


def measure(said: dict[str, Any], environment: dict[str, str], until: float) -> dict[str, Any] | None:
    """Runs a setting; None, and the end of its log printed, where it fails or the time is up."""
    folder = Path(said["folder"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(said))
    command = [sys.executable, str(grpo_gpu.ROOT / "perf/sides/decode.py"), str(folder / "job.json")]
    with (folder / "log.txt").open("w") as log:
        try:
            code = subprocess.run(
                command, env=environment, stdout=log, stderr=log, timeout=max(1.0, until - time.time())
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
    log_text = (folder / "log.txt").read_text(errors="replace")
    if code != 0:
        tail = "\n".join(log_text.splitlines()[-25:])
        print(f"--- {said['name']} ended with {code}:\n{tail}\n---", file=sys.stderr, flush=True)
        return None
    result = {"name": said["name"], **json.loads((folder / "RESULT.json").read_text())}
    result["phases_s"] = vllm_settings.phases(log_text)
    for one in result["passes"]:
        trace = Path(one.pop("trace"))
        one |= kernels.read(json.loads(trace.read_text()), said["tokens"])
    for trace in folder.glob("*.trace.json"):  # tens of MB each
        trace.unlink()
    return result


def environment_of(folder: Path) -> dict[str, str]:
    """The processes' environment: the kernels of all settings in one place, and vLLM's own words in the log."""
    return grpo_gpu.surroundings() | {
        **grpo_gpu.kept(folder),
        "MASTER_PORT": str(29500 + os.getpid() % 1000),
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_LOGGING_LEVEL": "INFO",
    }


def main() -> None:
    """Reads the command line, runs the settings one after the other and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=work.SHAPES)
    parser.add_argument(
        "--engine", action="append", help=f"{', '.join(vllm_settings.SETTINGS)}, or 'NAME: KEY=VALUE ...'"
    )
    parser.add_argument("--tokens", type=int, default=64, help="decoded without the profiler, and again with it")
    parser.add_argument("--prompt", type=int, help="tokens before; default half the shape's completion")
    parser.add_argument("--limit", type=float, default=570, help="seconds after which it prints what it has")
    parser.add_argument("--work", type=Path, default=Path("/tmp/rlexp-benchmark"), help="model, kernels, logs")
    parser.add_argument("--dry", action="store_true", help="prints what would run")
    options = parser.parse_args()
    until, shape, folder = time.time() + options.limit, work.SHAPES[options.shape], options.work.resolve()
    settings = [vllm_settings.setting(text) for text in options.engine or ["default"]]
    jobs = [job(options, shape, folder, name, pairs) for name, pairs in settings]
    if options.dry:
        print(json.dumps(jobs, indent=1))
        return
    environment = environment_of(folder)
    subprocess.run(grpo_gpu.maker(options.shape, folder / "models" / options.shape), env=environment, check=True)
    results = []
    for said in jobs:
        if time.time() < until and (result := measure(said, environment, until)) is not None:
            results.append(result)
            print(json.dumps(result), flush=True)
    if not results:
        raise SystemExit("no setting was measured")
    card = next((card for name, card in work.CARDS.items() if name in results[0]["card"]), None)
    context = jobs[0]["prompt"] + options.tokens
    print(f"\n{results[0]['card']}, {options.shape}, {shape.sequences} sequences at {context} tokens")
    if card:
        print(f"floor (weights and cache read once): {floor_ms(shape, context, card):.3f} ms a token")
    print(f"\n{table(results)}")
    for result in results:
        print(f"\n{result['name']}: start {result['phases_s']}, kernels with log-probabilities, ms a token:")
        print(f"  all completions of a step, s: {[round(took, 3) for took in result['generation_s']]}")
        if result["fold_ms"]:
            print(f"  the adapter folded in and out, ms a generation: {result['fold_ms']}")
        print(f"  log-probabilities of a step, ms: {result['logprobs_ms']}")
        for name, duration in result["passes"][0]["top"]:
            print(f"  {duration:7.4f}  {kernels.group(name):20} {name[:110]}")


if __name__ == "__main__":
    main()
