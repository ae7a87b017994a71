"""The prose of a card: what it is for, how it is spoken to, where its limits are."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from rlexp.card.markdown import fence, plain
from rlexp.card.measured import Measured
from rlexp.export import snippets
from rlexp.record.finished import FinishedRun


def title(run: FinishedRun) -> str:
    """What it is, in a line."""
    made = run.run
    return plain(f"{made.model.name} trained by {made.method.name} on {made.dataset.name}")


def summary(run: FinishedRun) -> str:
    """What stands under the title."""
    status = run.manifest.get("status", "unknown")
    return f"A run of rlexp (identity `{run.lock['identity']}`), {plain(status)}. Every figure here is from its record."


def use(run: FinishedRun) -> str:
    """What it was made for, where nobody said what it may be used for."""
    return (
        f"It was trained to answer prompts like those of {plain(run.run.dataset.name)}, and measured on such prompts "
        "alone unless the evaluation below names others. Nobody has said what else it may be used for (notes.md)."
    )


def base(run: FinishedRun, data: dict[str, Any]) -> str:
    """The base, its commit and the licence."""
    model = run.lock["inputs"]["model"]
    named = model.get("hub_id") or model.get("path")
    commit = model.get("revision") or f"md5 {model.get('md5')}"
    return f"{plain(named)}, {plain(commit)}. Licence of this card: {plain(data['license'])}."


def chosen(run: FinishedRun) -> str:
    """Which weights were chosen and why; empty where none were."""
    choice = run.manifest.get("selection")
    if not choice:
        return ""
    step = "what it began with" if choice["step"] == choice["began"] else f"step {choice['step']}"
    return f"Chosen by {plain(choice['metric'])} of {plain(choice['task'])}: {step}. {plain(choice['why'])}."


def prompt_style(run: FinishedRun, manifest: dict[str, Any]) -> str:
    """How the model is spoken to: what it reads, and a program a runtime that the gate ran."""
    parts = []
    if run.run.model.system_prompt:
        parts.append(f"It was trained with this system prompt:\n\n{fence(run.run.model.system_prompt)}")
    if kwargs := run.run.chat_template_kwargs:
        parts.append(f"Its template was given `{json.dumps(kwargs)}`.")
    if shown := manifest.get("prompt"):
        parts.append(f"What the model reads, special tokens included:\n\n{fence(shown['text'])}")
    for name, one in manifest.get("artifacts", {}).items():
        ran = one.get("snippet") or {}
        if ran.get("program"):
            good = "gave the gate's answer"
            said = good if ran["same"] else f"did not give the gate's answer: {plain(ran['said'])}"
            place = name if one["path"] == "." else f"{name}/{one['path']}"
            text = snippets.placed(ran["program"], place).rstrip()
            parts.append(
                f"**{plain(name)}** in {one['runtime']}; this program was run and {said}:\n\n{fence(text, 'python')}"
            )
        if one.get("modelfile"):
            parts.append(
                f"**{plain(name)}** in Ollama, written by rule and not run:\n\n{fence(one['modelfile'].rstrip())}"
            )
    return "\n\n".join(parts) or "Through its own chat template: `python -m rlexp export RUN` shows how, and runs it."


def limits(run: FinishedRun, manifest: dict[str, Any], measured: Sequence[Measured]) -> str:
    """What is known not to be known, and what is known to be worse."""
    status = run.manifest.get("status", "unknown")
    lines = [] if status == "finished" else [f"- The run {plain(status)}."]
    for one in measured:
        smallest = (one.content.get("detectable") or {}).get(one.task)
        if smallest is not None:
            lines.append(f"- Of {plain(one.name)}, differences under {smallest:.3f} are not seen by so few prompts.")
        for name, shared in ((one.content.get("contamination") or {}).get(one.task) or {}).items():
            rows = f"{len(shared['exact']) + len(shared['near'])} of {shared['rows']} prompts of {plain(one.task)}"
            lines.append(f"- {rows} are, or nearly are, among those that {plain(name)} was trained on.")
    for name, one in manifest.get("artifacts", {}).items():
        if one["verdict"] in ("degraded", "broken"):
            lines.append(f"- {plain(name)} is {one['verdict']}: {plain(one['reasons'][-1]['why'])}.")
    if not measured:
        lines.append("- Nothing was measured behind the training.")
    lines.append("- Languages, safety and prompts of other kinds were not measured.")
    return "\n".join(dict.fromkeys(lines))


def replay(run: FinishedRun) -> str:
    """How to have it again."""
    name = os.path.relpath(run.run_dir, run.root)
    lines = [f"python -m rlexp replay {name}", f"python -m rlexp export {name}"]
    return f"From the project that holds the run:\n\n{fence(chr(10).join(lines), 'console')}"
