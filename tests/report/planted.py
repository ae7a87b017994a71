"""Run folders with everything that a report shows, made by hand and without a model."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rlexp.compose.run import Run
from rlexp.inputs.digest import file_md5
from rlexp.record import completions, held_out
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import HEALTH, METRICS
from tests.record import made

HOSTILE = (
    "<script>document.title = 'pwned'; fetch('https://example.com/x')</script>",
    "<img src=https://example.com/x onerror=\"document.title='pwned'\">",
    "</script><script>document.title='pwned'</script><!--",
    '"><svg onload="document.title=1">',
    "right \u202eto left\u202c and \u2067isolated\u2069, zero\u200bwidth, bell\x07, nothing\x00",
    "שלום עולם 1 + 2 = 3",
    "a\u2028b\u2029c",
    "halves \ufffd, emoji 👩‍👩‍👧, combining e\u0301",
    "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n4<|im_end|>",
    "{{ 7 * 7 }} {% raw %} ${alert(1)} javascript:alert(1)",
    "&lt;b&gt; &amp; <b>bold</b> <a href=https://example.com>x</a>",
)
"""Completions that must be seen and do nothing."""
WARNED = {"rule": "entropy", "level": "warn", "step": 4, "value": 0.01, "said": "it fell", "hint": "raise beta"}


def rows(run: Run, step: int, prompts: int, rng: random.Random, text: Any = None) -> dict[str, list[Any]]:
    """A step's completions: whole groups, the scores of every term, their sum."""
    size = run.num_generations
    asked = [f"What is {n} + {n + 1}?" for n in range(prompts) for _ in range(size)]
    scores = {name: [float(rng.random() < 0.3 + 0.05 * step) for _ in asked] for name in run.reward.terms}
    texts = [f"<think>{rng.random():.3f}</think><answer>{rng.randint(1, 99)}</answer>" for _ in asked]
    return {
        "prompt": asked,
        "completion": [text(step, row) for row in range(len(asked))] if text else texts,
        "group": [row // size for row in range(len(asked))],
        "tokens": [8 + row % 7 for row in range(len(asked))],
        "cut": [row % 9 == 0 for row in range(len(asked))],
        **scores,
        "reward": [sum(values) for values in zip(*scores.values(), strict=True)],
        "read.answer": [str(2 * (row // size) + 1) for row in range(len(asked))],
    }


def store(folder: Path, step: int, columns: dict[str, list[Any]]) -> None:
    """Writes a step's completions."""
    path = folder / completions.name(step)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def entry(step: int, rng: random.Random, **more: Any) -> dict[str, Any]:
    """A line of metrics.jsonl as GRPO logs it."""
    return {
        **{"step": step, "loss": 0.1 / step, "reward": min(2.0, 0.1 * step + rng.random() / 2), "kl": 0.01 * step},
        **{"rewards/correct/mean": rng.random(), "rewards/format/mean": rng.random(), "entropy": 1 / step},
        **{"completions/mean_length": 14.0, "completions/max_length": 20.0, "completions/clipped_ratio": 0.0},
        "timing": {"step_time/step": 1.0, "step_time/generate": 0.6, "step_time/forward_backward": 0.4},
        **more,
    }


def write(folder: Path, run: Run, steps: int = 8, prompts: int = 3, text: Any = None, **facts: Any) -> FinishedRun:
    """A run of an online method.

    Args:
        text: (step, row) -> the completion; None for plausible ones.
        facts: of the manifest.
    """
    rng = random.Random(0)
    known = {
        **{"steps": {"done": steps, "asked": steps}, "health": {"entropy": {"level": "warn", "first_step": 4}}},
        "effective_arguments": {
            **{"default": {"adam_beta1": 0.9}, "asked": {"learning_rate": 0.002}},
            "adjusted": {"optim": {"asked": "adamw", "held": "adamw_torch", "why": "CPU"}},
        },
        "patches": {"merged_weights": {"status": "unused", "why": "no merge"}},
        **facts,
    }
    found = made.write(folder, made.locked(run, "method=grpo"), **known)
    (folder / METRICS).write_text("".join(json.dumps(entry(n, rng)) + "\n" for n in range(1, steps + 1)))
    for step in range(1, steps + 1):
        store(folder, step, rows(run, step, prompts, rng, text))
    (folder / HEALTH).write_text(json.dumps(WARNED) + "\n")
    rewards = {"before": [float(n % 3 == 0) for n in range(20)], "after": [1.0 + (n % 5) / 5 for n in range(20)]}
    told: list[dict[str, Any]] = [
        {
            **{"prompt": f"What is {n} + 1?", "before": "no", "after": str(n + 1)},
            **{f"reward_{side}": values[n] for side, values in rewards.items()},
        }
        for n in range(20)
    ]
    (folder / held_out.FILE).write_text(json.dumps(told))
    means = {side: sum(values) / len(values) for side, values in rewards.items()}
    compared = {"reward": {**means, "standard_error": [0.1, 0.1]}, **facts.get("held_out", {})}
    outputs = {METRICS: file_md5(folder / METRICS)}
    manifest = {**found.manifest, "held_out": compared, "outputs": outputs}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return FinishedRun(folder, found.lock, manifest, folder.parent)
