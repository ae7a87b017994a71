"""What ``plan`` says of the data: the snapshot, or how it is made, and which rows of it are trained on."""

from __future__ import annotations

from typing import Any

from rlexp.compose.run import Run
from rlexp.errors import printable
from rlexp.inputs import mixture
from rlexp.inputs.find import Inputs
from rlexp.preflight import columns, difficulty


def rows(run: Run, inputs: Inputs) -> list[tuple[str, str]]:
    """The data set, how many rows of each part of a mixture are trained on, what was recognised in rows of the user's
    own, the text columns of theirs that nobody reads, and the rows that are kept by their pass rate."""
    data = run.dataset
    found = [("dataset", f"{data.name} ({data.type.name}): {data.path}, {_state(run, inputs)}")]
    if trained := mixture.rows_by_source(data, inputs.description, inputs.filtered) if inputs.description else {}:
        weighed = ", ".join(f"{rows} {name}{_times(data.parts[name].weight)}" for name, rows in trained.items())
        found.append(("trained on", f"{weighed}: {sum(trained.values())} rows"))
    notes = recognised(inputs)
    found += [("recognised", printable("; ".join(notes)))] if notes else []
    unread = ", ".join(columns.unread(run, inputs))
    found += [("read by nobody", f"the text of {unread}")] if unread else []
    return found + difficulty.rows(run, inputs)


def parts(run: Run, inputs: Inputs) -> dict[str, Any]:
    """The parts of a mixture as JSON values; of one data set none."""
    trained = mixture.rows_by_source(run.dataset, inputs.description, inputs.filtered) if inputs.description else {}
    return {
        name: {
            "path": part.path,
            "weight": part.weight,
            "train_rows": trained.get(name),
            "made_by": f"data_prep/{inputs.parts[name].name}" if name in inputs.parts else None,
        }
        for name, part in run.dataset.parts.items()
    }


def recognised(inputs: Inputs) -> list[str]:
    """What was recognised in rows of the user's own, of each part of a mixture by its name."""
    source = (inputs.description or {}).get("source", {})
    parts = {name: part.get("source", {}) for name, part in source.get("parts", {}).items()}
    return [
        *source.get("recognised", []),
        *(f"{n}: {note}" for n, s in parts.items() for note in s.get("recognised", [])),
    ]


def _state(run: Run, inputs: Inputs) -> str:
    """The rows of the snapshot, or what makes it."""
    if inputs.description:
        return ", ".join(f"{split['rows']} {name}" for name, split in inputs.description["splits"].items()) + " rows"
    if run.dataset.parts:
        return f"missing; it is made of {', '.join(part.path for part in run.dataset.parts.values())} first"
    return f"missing; data_prep/{inputs.data_prepare.name if inputs.data_prepare else ''} writes it first"


def _times(weight: float) -> str:
    return "" if weight == 1 else f" (weight {weight:g})"
