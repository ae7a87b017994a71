"""A snapshot as the ``datasets.Dataset`` that TRL's trainers take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.inputs import snapshot


def load(run: Run, snapshot_dir: Path, split: str, rows: int | None = None, columns: tuple[str, ...] = ()) -> Any:
    """The first ``rows`` rows of a split.

    Args:
        snapshot_dir: the folder of the snapshot.
        split: train or test.
        rows: None for all of them.
        columns: columns besides those of the data-set type (those that the rewards read).

    Returns:
        A ``datasets.Dataset``; conversations without a system message begin with the model's system prompt.
    """
    from datasets import Dataset

    table = snapshot.read(snapshot_dir / f"{split}.parquet")
    wanted = dict.fromkeys((*run.dataset.type.columns, *columns))
    table = table.select([name for name in wanted if name in table.column_names]).slice(0, rows)
    return Dataset.from_list([with_system(row, run.model.system_prompt) for row in table.to_pylist()])


def with_system(row: dict[str, Any], system_prompt: str | None) -> dict[str, Any]:
    """The row, with the system prompt in front of a conversation that has none."""
    prompt = row["prompt"]
    if not system_prompt or isinstance(prompt, str) or prompt[0]["role"] == "system":
        return row
    return {**row, "prompt": [{"role": "system", "content": system_prompt}, *prompt]}
