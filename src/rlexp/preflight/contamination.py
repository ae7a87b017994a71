"""Rows of an eval task that a run was trained on, word for word or nearly so: what is measured on them is memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.preflight.data_quality import duplicates
from rlexp.preflight.data_quality.rows import Row, read


@dataclass(frozen=True)
class Contamination:
    """What a task shares with the rows that a run was trained on."""

    rows: int
    """Rows of the task that were looked at, those that choose and those that report."""
    exact: tuple[int, ...]
    """Of them by their place in the split, those whose prompt is trained on."""
    near: tuple[int, ...]
    """Those whose prompt is nearly one of them."""

    @property
    def clean(self) -> bool:
        """Says whether none is."""
        return not self.exact and not self.near

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"rows": self.rows, "exact": list(self.exact), "near": list(self.near)}

    def words(self) -> str:
        """A sentence; empty where nothing is shared."""
        if self.clean:
            return ""
        shown = ", ".join(map(str, (*self.exact, *self.near)[:SHOWN]))
        more = " ..." if len(self.exact) + len(self.near) > SHOWN else ""
        both = f"{len(self.exact)} of {self.rows} rows are trained on, {len(self.near)} more nearly so"
        return f"{both} (rows {shown}{more}): they measure memory"


SHOWN = 5
"""Rows that a sentence names."""


def look(trained: Path, task: Path, split: str, rows: Sequence[int]) -> Contamination:
    """Holds rows of a snapshot against the training rows of another.

    Args:
        trained: the folder of the snapshot that a run was trained on.
        task: that of the task.
        rows: places in its split.

    Raises:
        RunError: a file cannot be read.
    """
    every = _rows(task, split)
    wanted = [every[row] for row in rows]
    exact, near = duplicates.shared(_rows(trained, "train"), wanted)
    return Contamination(len(wanted), tuple(row.number for row in exact), tuple(row.number for row in near))


@functools.lru_cache(4)
def _rows(folder: Path, split: str) -> list[Row]:
    return read(folder, [split])[split]
