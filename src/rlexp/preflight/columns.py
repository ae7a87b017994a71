"""Columns of a data set that nobody reads: text that the user may think is trained on."""

from __future__ import annotations

import re
from string import Formatter

from rlexp.compose.run import Run
from rlexp.inputs.find import Inputs
from rlexp.inputs.mixture import SOURCE
from rlexp.inputs.row_values import object_of, paths
from rlexp.reward.trial import data_rows
from rlexp.verdict import Level, Verdict

LOOKED_AT = 12
"""Rows whose answers are looked at."""
OWN = ("local", "hub")
"""Scripts that keep whatever columns the rows of one's own have."""


def unread(run: Run, inputs: Inputs) -> list[str]:
    """The text columns of rows of one's own that neither the method nor a reward reads, nor the gold completion."""
    scripts = {one.prepare for one in (run.dataset, *run.dataset.parts.values())}
    if not scripts & set(OWN) or not inputs.description:
        return []
    read = {*run.dataset.type.columns, "tools", *([SOURCE] if run.dataset.parts else [])}
    read |= {name for source in inputs.rewards.values() for name in (*source.columns, *source.wanted_columns)}
    fields = [name for gold in run.dataset.golds for _, name, _, _ in Formatter().parse(gold) if name]
    read |= {re.split(r"[.\[]", name)[0] for name in fields}
    return [name for name, kind in inputs.description["columns"].items() if kind == "string" and name not in read]


def verdict(run: Run, inputs: Inputs) -> Verdict:
    """Every text column is read by somebody."""
    name = "data.unread_columns"
    if not (found := unread(run, inputs)):
        return Verdict(name, Level.passed, "every text column of the rows is read")
    shown = f"text column {found[0]}" if len(found) == 1 else f"text columns {', '.join(found)}"
    message = f"nobody reads the {shown} of {run.dataset.name}: neither {run.method.name} nor a reward"
    hint = "where it belongs to the prompt or the answer, name it: dataset.params.columns={prompt: COLUMN}"
    return Verdict(name, Level.warning, message, f"dataset={run.dataset.name}", hint)


def answer(run: Run, inputs: Inputs) -> Verdict:
    """The column ``answer``, where a reward reads it, holds answers: no completion equals an object."""
    name = "data.answer"
    if not run.method.online or not any("answer" in source.columns for source in inputs.rewards.values()):
        return Verdict(name, Level.skipped, "no reward reads the column answer")
    for row in data_rows(inputs.data, LOOKED_AT):
        if (found := object_of(row.get("answer"))) is not None:
            message = f"the column answer holds an object, which no completion equals: {str(found)[:60]}"
            near = next(iter(paths({"answer": found})), "answer.NAME")
            hint = f"make a column of the part that is the answer, {near}: dataset.params.columns={{answer: PATH}}"
            return Verdict(name, Level.failed, message, f"dataset={run.dataset.name}: answer", hint)
    return Verdict(name, Level.passed, "the answers are no objects")
