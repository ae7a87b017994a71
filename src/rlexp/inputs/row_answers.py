"""The column ``answer`` of rows of one's own: one text or number that a completion may equal, or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlexp.errors import RunError
from rlexp.inputs.row_columns import typed
from rlexp.inputs.row_values import Row, at_path, object_of, paths

TRUTH = "reward_model.ground_truth"
"""Where verl's rows hold the answer."""


def with_truths(rows: dict[str, Row], held: str, columns: Mapping[str, str], notes: list[str]) -> dict[str, Row]:
    """The rows with verl's ground truths as their answers, where any row has one; None for the others.

    Raises:
        RunError: one is an object, or a list of several.
    """
    found = {
        place: one_answer(at_path(row, TRUTH), f"{held} {place}: {TRUTH}", TRUTH, columns, notes)
        for place, row in rows.items()
    }
    missing = sum(value is None for value in found.values())
    if missing == len(rows):
        return rows
    lacking = f" ({missing} of {len(rows)} rows have none)" if missing else ""
    notes.append(f"verl: answer from {TRUTH}{lacking}")
    return {place: {**row, "answer": found[place]} for place, row in rows.items()}


def one_answer(value: Any, where: str, source: str, columns: Mapping[str, str], notes: list[str]) -> Any:
    """An answer as it is, or that of a list of one, which is noted.

    Args:
        where: the row and the key, for messages.
        source: the answer's name or path in the file.
        columns: the column map.

    Raises:
        RunError: it is an object, also as JSON text, or a list of none or several.
    """
    if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list):
        note = f"{source}: a list of one read as the one"
        notes += [note] if note not in notes else []
        value = value[0]
    if isinstance(value, list):
        others = {name: path for name, path in columns.items() if name != "answer"}
        kept = typed(others, "answers", source.partition(".")[0])
        raise RunError(
            f"the answer is a list of {len(value)}, which no completion equals",
            where=where,
            hint=f"write the one that is right, null where there is none; or keep the lists under another name: {kept}",
        )
    if (answer := object_of(value)) is not None:
        inner = paths({source: answer})
        near = next((path for path in inner if path.endswith("ground_truth")), inner[0] if inner else f"{source}.NAME")
        raise RunError(
            "the answer is an object, which no completion equals",
            where=where,
            hint=f"name the part of it that is the answer: {typed(columns, 'answer', near)}",
        )
    return value
