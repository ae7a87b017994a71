"""A snapshot as the ``datasets.Dataset`` that TRL's trainers take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.inputs import mixture, snapshot
from rlexp.inputs.difficulty import Filter
from rlexp.inputs.messages import restored

TOOLS = "tools"
"""The column of the tools that a dialogue may call, as JSON text; TRL hands it to the chat template."""


def load(
    run: Run,
    snapshot_dir: Path,
    split: str,
    rows: int | Sequence[int] | None = None,
    columns: tuple[str, ...] = (),
    filtered: Filter | None = None,
) -> Any:
    """Rows of a split; of a mixture's training rows each as often as its weight says.

    Args:
        snapshot_dir: the folder of the snapshot.
        split: train or test.
        rows: the first so many, or those of these places; None for all of them.
        columns: columns besides those of the data-set type (those that the rewards read).
        filtered: the rows of the train split that are kept (``Inputs.filtered``); None for every one.

    Returns:
        A ``datasets.Dataset``; conversations without a system message begin with the model's system prompt.
    """
    table = snapshot.read(snapshot_dir / f"{split}.parquet")
    wanted = dict.fromkeys((*trained_columns(run, table.column_names), *columns, *source_column(run, split)))
    table = table.take(list(filtered.kept)) if filtered else table
    if run.dataset.parts and split == "train":
        table = table.take(mixture.trained(run.dataset, table[mixture.SOURCE].to_pylist(), run.seed))
    table = table.select([name for name in wanted if name in table.column_names])
    table = table.take(rows) if isinstance(rows, Sequence) else table.slice(0, rows)
    found = [{name: restored(value) for name, value in row.items()} for row in table.to_pylist()]
    return of_rows([with_system(row, run.model.system_prompt) for row in found])


def source_column(run: Run, split: str) -> list[str]:
    """The column of a mixture that says where a row came from, where something is measured by it: a method that does
    not sample is given none to train on."""
    return [mixture.SOURCE] if run.dataset.parts and (run.method.online or split != "train") else []


def trained_columns(run: Run, present: Any) -> list[str]:
    """The columns that the method's trainer takes, of those that are there."""
    wanted = [*run.dataset.type.columns, *([] if run.method.online else [TOOLS])]
    return [name for name in wanted if name in present]


def in_training_order(run: Run, rows: Any) -> Any:
    """The rows as the trainer is to get them: shuffled by the seed where ``method.shuffle_rows`` says so."""
    return rows.shuffle(seed=run.seed) if run.shuffle_rows else rows


def of_rows(rows: list[dict[str, Any]]) -> Any:
    """The rows as a ``datasets.Dataset``.

    Messages with more than role and content are kept as JSON: Arrow would give each of them the keys of all, null where
    it has none, and a chat template writes what is null.
    """
    from datasets import Dataset, Features, Json, List

    more = {name for row in rows for name, value in row.items() if _has_more(value)}
    if not more:
        return Dataset.from_list(rows)
    plain = Dataset.from_list([{name: row[name] for name in row if name not in more} for row in rows])
    kinds = {name: plain.features[name] if name in plain.features else List(Json()) for name in rows[0]}
    return Dataset.from_list(rows, features=Features(kinds))


def _has_more(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(turn, dict) and "role" in turn and turn.keys() - {"role", "content"} for turn in value
    )


def with_system(row: dict[str, Any], system_prompt: str | None) -> dict[str, Any]:
    """The row, with the system prompt in front of a conversation that has none."""
    prompt = row["prompt"]
    if not system_prompt or isinstance(prompt, str) or prompt[0]["role"] == "system":
        return row
    return {**row, "prompt": [{"role": "system", "content": system_prompt}, *prompt]}
