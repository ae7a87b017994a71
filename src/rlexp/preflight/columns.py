"""Columns of a data set that nobody reads: text that the user may think is trained on."""

from __future__ import annotations

from string import Formatter

from rlexp.compose.run import Run
from rlexp.inputs.find import Inputs
from rlexp.verdict import Level, Verdict

OWN = ("local", "hub")
"""Scripts that keep whatever columns the rows of one's own have."""


def unread(run: Run, inputs: Inputs) -> list[str]:
    """The text columns of rows of one's own that neither the method nor a reward reads, nor the gold completion."""
    if run.dataset.prepare not in OWN or not inputs.description:
        return []
    read = {*run.dataset.type.columns, "tools"}
    read |= {name for source in inputs.rewards.values() for name in (*source.columns, *source.wanted_columns)}
    read |= {
        name.partition(".")[0].partition("[")[0] for _, name, _, _ in Formatter().parse(run.dataset.gold or "") if name
    }
    return [name for name, kind in inputs.description["columns"].items() if kind == "string" and name not in read]


def verdict(run: Run, inputs: Inputs) -> Verdict:
    """Every text column is read by somebody."""
    name = "data.unread_columns"
    if not (found := unread(run, inputs)):
        return Verdict(name, Level.passed, "every text column of the rows is read")
    shown = f"the text column {found[0]}" if len(found) == 1 else f"the text columns {', '.join(found)}"
    message = (
        f"{shown} of {run.dataset.name} {'is' if len(found) == 1 else 'are'} read by nobody (method {run.method.name})"
    )
    hint = "where it belongs to the prompt or the answer, name it: dataset.params.columns={prompt: COLUMN}"
    return Verdict(name, Level.warning, message, f"dataset={run.dataset.name}", hint)
