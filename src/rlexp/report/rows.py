"""The completions that a report shows, with all that is known of each: columns of texts and numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.inputs import snapshot
from rlexp.record import completions
from rlexp.report import groups
from rlexp.report.charts import number
from rlexp.report.groups import Choice
from rlexp.reward import advantage
from rlexp.reward.rubric import READ

IDS = "completion_ids"
"""What a term may read and nobody looks at."""


@dataclass
class Rows:
    """Completions, a value of each list a row; groups one after the other, by step."""

    terms: list[str]
    total: int
    """Completions that the run stored."""
    how: str
    """How those that are shown were chosen."""
    steps: list[list[int]] = field(default_factory=list)
    """[step, completions stored, completions shown] of each."""
    prompts: list[str] = field(default_factory=list)
    """Every prompt once."""
    group_step: list[int] = field(default_factory=list)
    group_number: list[int] = field(default_factory=list)
    """Its number within its step."""
    group_prompt: list[int] = field(default_factory=list)
    """The place of its prompt in ``prompts``."""
    group_first: list[int] = field(default_factory=list)
    """Its first row."""
    group_read: list[dict[str, Any] | None] = field(default_factory=list)
    """What else the terms read of its row of the data."""
    text: list[str | None] = field(default_factory=list)
    """The completions, each whole; None where none was stored."""
    reward: list[float | None] = field(default_factory=list)
    advantage: list[float | None] = field(default_factory=list)
    tokens: list[int | None] = field(default_factory=list)
    cut: list[bool | None] = field(default_factory=list)
    scores: dict[str, list[float | None]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; the lists are not copied."""
        return {"shown": len(self.text), **vars(self)}


def read(run_dir: Path, run: Run | None, terms: Sequence[str], choice: Choice) -> Rows:
    """Reads the rows of the groups that were chosen, one step at a time.

    Args:
        run: says how rewards become advantages; None where the lock is not one of this version, which tells none.
        terms: the names of the reward's terms.

    Raises:
        RunError: a file cannot be read.
    """
    found = Rows(list(terms), choice.total, choice.how, scores={term: [] for term in terms})
    known: dict[str, int] = {}
    for step in choice.steps:
        wanted = choice.groups[step.number]
        shown = sum(step.starts[group + 1] - step.starts[group] for group in wanted)
        found.steps.append([step.number, step.rows, shown])
        if wanted:
            table = snapshot.read(run_dir / completions.name(step.number))
            if groups.boundaries(table) != step.starts:
                what, hint = "completions change while the report is made", "type it again once the run has ended"
                raise RunError(what, where=str(run_dir / completions.name(step.number)), hint=hint)
            _add(found, known, table, step, wanted, run)
    return found


def _add(found: Rows, known: dict[str, int], table: Any, step: groups.Step, wanted: list[int], run: Run | None) -> None:
    names = set(table.column_names)
    scores = {term: _numbers(table.column(term)) for term in found.terms if term in names}
    rewards: list[float | None] = [None] * step.rows
    if "reward" in names:
        rewards = _numbers(table.column("reward"))
    worth = _advantages(run, scores, rewards, step.starts)
    places = [row for group in wanted for row in range(step.starts[group], step.starts[group + 1])]
    kept = table.take(places)
    firsts = table.take([step.starts[group] for group in wanted])
    prompts = groups.texts(firsts.column("prompt")) if "prompt" in names else [""] * len(wanted)
    read = _read(firsts)
    numbers = firsts.column("group").to_pylist() if "group" in names else wanted
    first = len(found.text)
    for place, group in enumerate(wanted):
        found.group_step.append(step.number)
        found.group_number.append(numbers[place] if type(numbers[place]) is int else group)
        found.group_prompt.append(known.setdefault(prompts[place], len(known)))
        found.group_first.append(first)
        first += step.starts[group + 1] - step.starts[group]
        found.group_read.append(read[place] or None)
    found.prompts.extend(list(known)[len(found.prompts) :])
    found.text += groups.texts_or_none(kept.column("completion"))
    found.reward += [number(rewards[row]) for row in places]
    found.advantage += [number(worth[row]) for row in places] if worth else [None] * len(places)
    found.tokens += _whole(kept, "tokens")
    found.cut += _flags(kept, "cut")
    for term, column in found.scores.items():
        own = scores.get(term)
        column += [number(own[row]) for row in places] if own else [None] * len(places)


def _advantages(
    run: Run | None, scores: dict[str, list[float | None]], rewards: list[float | None], starts: Sequence[int]
) -> list[float] | None:
    """The advantage of every row of a step; None where groups are not those that the run compares."""
    if run is None or not run.method.online:
        return None
    sizes = {end - start for start, end in itertools.pairwise(starts)}
    if sizes != {run.num_generations}:
        return None
    try:
        return advantage.advantages(run, scores, rewards)
    except (ArithmeticError, ValueError, LookupError, TypeError):  # scores that nobody reckons with
        return None


def _read(table: Any) -> list[dict[str, Any]]:
    """What the terms read of each row, less its ids."""
    names = [name for name in table.column_names if name.startswith(READ) and name != f"{READ}{IDS}"]
    columns = {name.removeprefix(READ): _plain(table.column(name)) for name in names}
    return [{name: values[row] for name, values in columns.items()} for row in range(table.num_rows)]


def _plain(column: Any) -> list[Any]:
    """The values of a column as JSON has them."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return groups.texts(column)
    try:
        return [_json(value) for value in column.to_pylist()]
    except (ValueError, pa.ArrowException):
        return ["(cannot be read)"] * len(column)


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, float):
        return number(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _numbers(column: Any) -> list[float | None]:
    """The numbers of a column; None for what is none."""
    import pyarrow as pa

    try:
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        return [None] * len(column)
    return [value if known else None for value, known in zip(values.tolist(), np.isfinite(values), strict=True)]


def _whole(table: Any, name: str) -> list[int | None]:
    values = table.column(name).to_pylist() if name in table.column_names else [None] * table.num_rows
    return [value if type(value) is int else None for value in values]


def _flags(table: Any, name: str) -> list[bool | None]:
    values = table.column(name).to_pylist() if name in table.column_names else [None] * table.num_rows
    return [value if isinstance(value, bool) else None for value in values]
