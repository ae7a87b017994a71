"""Rows of one's own through the command line: tool calls are trained on, and ORPO stays finite over long prompts."""

from __future__ import annotations

import json
import math
import shutil

import pytest

from tests.conftest import rlexp

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]
TEMPLATE = (
    "{{ tools|tojson if tools else '' }}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
    "{{ m['tool_calls']|tojson if 'tool_calls' in m else '' }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {}}}]


def call(a: int, b: int) -> list[dict]:
    function = {"name": "add", "arguments": {"a": a, "b": b}}
    return [{"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": function}]}]


def losses(folder) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.parametrize("method", ["sft", "dpo", "orpo"])
def test_tool_calls_are_trained_on(project, method):
    shutil.copytree(project / "models/tiny", project / "models/calls")
    (project / "models/calls/chat_template.jinja").write_text(TEMPLATE)
    rows = []
    for n in range(24):
        answers = {"completion": call(n, 1)} if method == "sft" else {"chosen": call(n, 1), "rejected": call(n, 2)}
        rows.append({"prompt": f"{n} + 1?", **answers, "tools": TOOLS})
    (project / "calls.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = rlexp(
        project,
        *("hydra.run.dir=outputs/calls", f"method={method}", "dataset=./calls.jsonl", "model.path=models/calls"),
        *("model.max_seq_length=256", "method.max_steps=2", "method.prompts_per_step=4", "held_out.rows=2"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "template.content" not in done.stdout
    assert all(map(math.isfinite, losses(project / "outputs/calls")))


def test_orpo_drops_prompts_that_fill_the_length(project):
    rows = [
        {"prompt": "one two three " * (60 if n < 2 else 1) + str(n), "chosen": "yes", "rejected": "no"}
        for n in range(60)
    ]
    (project / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = rlexp(
        project,
        *("hydra.run.dir=outputs/long", "method=orpo", "dataset=./pairs.jsonl", "dataset.params.test=4"),
        *("method.max_steps=15", "method.prompts_per_step=4", "held_out.rows=0"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the prompt alone fills the limit, and they are dropped (rows " in done.stdout
    assert all(map(math.isfinite, losses(project / "outputs/long")))
