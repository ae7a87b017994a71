"""The contract of a data set, row by row: what the method's trainer and the rewards will rely on.

Source: TRL's dataset types (https://huggingface.co/docs/trl/dataset_formats): prompt-only, preference,
prompt-completion and unpaired preference, in plain-text or conversational form.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rlexp.compose.schema import DatasetType
from rlexp.errors import RunError
from rlexp.inputs import snapshot

SHOWN = 5
"""Row numbers named in a message."""


@functools.cache
def check_rows(snapshot_dir: Path, kind: DatasetType) -> None:
    """Checks every row of every split of a snapshot, once in each process: the points of a sweep share it.

    Args:
        snapshot_dir: the snapshot.
        kind: the type that the method trains on; its columns exist (``inputs.find``).

    Raises:
        RunError: rows break the contract; the message names the first of them.
    """
    for path in sorted(snapshot_dir.glob("*.parquet")):
        rows = snapshot.read(path, kind.columns).to_pylist()
        broken: dict[str, list[int]] = {}
        for number, row in enumerate(rows):
            for fault in faults(row, kind):
                broken.setdefault(fault, []).append(number)
        for fault, numbers in broken.items():
            shown = ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")
            raise RunError(
                f"{len(numbers)} of {len(rows)} rows break the contract of {kind.name} data: {fault}",
                where=f"{path.name} in {snapshot_dir.name}, rows {shown} (counted from 0)",
                hint="mend the data_prep script, or the file it reads, and make the snapshot again under a new name",
            )


def faults(row: dict[str, Any], kind: DatasetType) -> Iterator[str]:
    """The faults of one row, in plain words; nothing for a row that fits."""
    for column in kind.columns:
        rule: Callable[[Any], str | None] = _flag if column == "label" else _prompt if column == "prompt" else _reply
        if fault := rule(row[column]):
            yield f"{column} {fault}"
    if kind is DatasetType.preference and row["chosen"] == row["rejected"]:
        yield "chosen and rejected are the same"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "is not true or false"


def _prompt(value: Any) -> str | None:
    return _text(value, last_role="user")


def _reply(value: Any) -> str | None:
    return _text(value, last_role="assistant")


def _text(value: Any, last_role: str) -> str | None:
    if value is None:
        return "is missing"
    if isinstance(value, str):
        return None if value.strip() else "is empty"
    if not isinstance(value, list) or not all(
        isinstance(turn, dict) and {"role", "content"} <= turn.keys() for turn in value
    ):
        return "is neither text nor a list of {role, content}"
    if not value or not ((value[-1]["content"] or "").strip() or value[-1].get("tool_calls")):
        return "is empty"
    return None if value[-1]["role"] == last_role else f"does not end with a turn of the {last_role}"
