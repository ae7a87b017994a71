"""The prose of a card: what it is for, where its limits are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from rlexp.card.markdown import fence, plain
from rlexp.card.measured import Measured
from rlexp.record import go_on, status
from rlexp.record.finished import FinishedRun


def title(run: FinishedRun) -> str:
    """What it is, in a line."""
    made = run.run
    return plain(f"{made.model.name} trained by {made.method.name} on {made.dataset.name}")


def summary(run: FinishedRun) -> str:
    """What stands under the title."""
    stands, _ = status.of(run.manifest)
    return f"A run of rlexp (identity `{run.lock['identity']}`), {plain(stands)}. Every figure here is from its record."


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


def limits(run: FinishedRun, manifest: dict[str, Any], measured: Sequence[Measured]) -> str:
    """What is known not to be known, and what is known to be worse."""
    stands, _ = status.of(run.manifest)
    lines = [] if stands == "finished" else [f"- The run did not finish: {plain(status.sentence(run.manifest))}."]
    for one in measured:
        smallest = (one.content.get("detectable") or {}).get(one.task)
        if smallest is not None:
            lines.append(f"- Of {plain(one.name)}, differences under {smallest:.3f} are not seen by so few prompts.")
        for name, shared in ((one.content.get("contamination") or {}).get(one.task) or {}).items():
            rows = f"{len(shared['exact']) + len(shared['near'])} of {shared['rows']} prompts of {plain(one.task)}"
            lines.append(f"- {rows} are, or nearly are, among those that {plain(name)} was trained on.")
    for name, one in manifest.get("artifacts", {}).items():
        if one["verdict"] in ("degraded", "broken"):
            why = "; ".join(reason["why"] for reason in one["reasons"] if reason["level"] == one["verdict"])
            lines.append(f"- {plain(name)} is {one['verdict']}: {plain(why or one['reasons'][0]['why'])}.")
    if not measured:
        lines.append("- Nothing was measured behind the training.")
    lines.append("- Languages, safety and prompts of other kinds were not measured.")
    return "\n".join(dict.fromkeys(lines))


def replay(run: FinishedRun, export: str) -> str:
    """How to have it again.

    Args:
        export: the command that exports it.
    """
    lines = [go_on.line("replay", os.path.relpath(run.run_dir, run.root)), export]
    return f"From the project that holds the run:\n\n{fence(chr(10).join(lines), 'console')}"
