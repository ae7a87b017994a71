"""DPO and ORPO on one GPU: rlexp against a plain TRL script written by hand, with equal work, in one run.

Sides: ``trl`` (transformers, PEFT, TRL's DPOTrainer or ORPOTrainer), ``rlexp`` (the command line, Unsloth's model) and,
where it is asked for, ``unsloth`` (a notebook-like script). All train the same model folder (the real shape, random
weights: no hub is needed) with the same adapter on the same pairs, all of one length. What each trainer really holds is
compared, with a hash of the tokens it trains on, and differences are printed. DPO's reference is the model with its
adapter switched off. How sides load, take turns and are timed: grpo_gpu.py, whose harness this is.

Usage, from the project folder:
  python perf/preference_gpu.py dpo 135m                 # a few minutes
  python perf/preference_gpu.py orpo 1.7b --sides trl,unsloth,rlexp
  python perf/preference_gpu.py dpo 1.7b --alone --rounds 1   # one after the other: seconds to the first step
  python perf/preference_gpu.py orpo tiny                # tries the harness on a CPU
  python perf/preference_gpu.py dpo tiny --sides unsloth,rlexp   # likewise: plain TRL's DPO needs a GPU (Triton)
``--variant rlexp+NAME:key=value,...`` adds rlexp once more, with further overrides of its command line.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import grpo_gpu as harness

import work  # isort: skip  # of sides/, where grpo_gpu looks

METHODS = ("dpo", "orpo")
ROWS = 512
"""Pairs to train on; an epoch that ends begins another."""


def project(folder: Path, environment: dict[str, str], method: str, shape: work.Shape) -> None:
    """A copy of the project with the benchmark's pairs as a data set of its own."""
    harness.copied(folder)
    shutil.copyfile(harness.ROOT / "perf/sides/digit_pairs.py", folder / "data_prep/digit_pairs.py")
    params = f"{{train: {ROWS}, test: 8, prompt: {work.PROMPT}, tokens: {shape.tokens}}}"
    option = f"name: digit_pairs\ntype: preference\nprepare: digit_pairs\nparams: {params}\n"
    (folder / "conf/dataset/digit_pairs.yaml").write_text(option)
    harness.prepared(folder, environment, [f"method={method}", "dataset=digit_pairs"])


def jobs(options: argparse.Namespace, shape: work.Shape, folder: Path, cuda: bool) -> list[harness.Side]:
    """One side a process, in the order they were asked for."""
    wanted: list[tuple[str, str, dict[str, Any]]] = [(name, name, {}) for name in options.sides.split(",")]
    wanted += [(head, base, settings) for base, head, settings in map(harness.variant, options.variant)]
    sides = []
    for name, base, settings in wanted:
        job = harness.job_of(options.method, name, options, shape, folder)
        job["max_length"] = work.PROMPT + shape.tokens + 64
        if base == "rlexp":
            asked = work.arguments(options.method, shape, job["max_steps"])
            job["rlexp"] = [
                *harness.common_overrides(shape, job, asked, options.hardware if cuda else "cpu"),
                f"method={options.method}",
                "dataset=digit_pairs",
                f"model.max_completion_length={work.answer_limit(shape)}",
                *(f"{key}={value}" for key, value in settings.items()),
            ]
        else:
            job["arguments"] = settings
        shutil.rmtree(job["folder"], ignore_errors=True)
        Path(job["folder"]).mkdir(parents=True)
        sides.append(harness.Side(name, base, job))
    return sides


def table(results: list[dict[str, Any]], losses: dict[str, list[float]]) -> str:
    """Markdown: every side against the plain TRL script, and the losses of the first steps."""
    plain = next((r["step_s"] for r in results if r["side"] == "trl"), None)
    heads = ["side", "step s, median (min-max)", "rounds", "/ trl", "tokens/s", "peak GiB, allocated", "reserved"]
    heads += ["to first step s", "first losses"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for r in results:
        low, high = r["step_s_min_max"]
        memory, laps = r["memory"], r["seconds_to_first_step"]
        cells = [
            r["side"],
            f"{r['step_s']:.3f} ({low:.3f}-{high:.3f})",
            ", ".join(f"{median:.3f}" for median in r["round_medians_s"]),
            f"{r['step_s'] / plain:.2f}" if plain else "",
            f"{r['tokens_per_s']:.0f}",
            *(f"{memory[key]:.2f}" if key in memory else "" for key in ("allocated_gib", "reserved_gib")),
            f"{laps.get('first_step_ends', 0):.0f}",
            ", ".join(f"{loss:.4f}" for loss in losses.get(r["side"], [])),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    card = results[0]["memory"].get("card", "CPU")
    return "\n".join([*lines, "", f"on {card}; ratio below 1: faster than the plain TRL script"])


def main() -> None:
    """Reads the command line, starts the sides and prints what they measured."""
    options = harness.parser(str(__doc__), "trl,rlexp", METHODS).parse_args()
    until, cuda = time.time() + options.limit, shutil.which("nvidia-smi") is not None
    shape = harness.shaped(work.of_pairs(options.shape), options)
    print(
        f"{options.method}, {shape.prompts} pairs a step, {shape.micro} a pass, {dataclasses.asdict(shape)}", flush=True
    )
    with harness.made(options) as (folder, environment, making):
        project(folder / "project", environment, options.method, shape)
        sides = jobs(options, shape, folder, cuda)
        results = harness.train_in_turn(sides, options, shape, until, environment, making)
    losses = {side.name: side.rounds[0]["losses"] for side in sides if side.rounds}
    if results:
        counts = sorted({r["completion_tokens_a_step"] for r in results})
        print(f"tokens a step, prompts included: {counts}\n\n{table(results, losses)}")


if __name__ == "__main__":
    main()
