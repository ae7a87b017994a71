"""How many rows of the data each term of a reward applies to: it answers None to the others, whatever is written.

An empty completion is scored for rows all over the training split, so that a term that gives None to it does so for
its row. Only terms that read columns are asked; those of whole batches (a judge, a model) are left out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp.inputs import snapshot
from rlexp.reward.rubric import Rubric
from rlexp.reward.trial import score_texts

ROWS = 1000
"""Rows that are tried, evenly spaced."""


@dataclass(frozen=True)
class Coverage:
    """How many rows one term applies to."""

    name: str
    applied: int
    tried: int
    missing: int
    """Rows of these that lack a value of a column that the term reads: null, absent, NaN or empty."""
    left_out: tuple[int, ...] = field(default=(), compare=False)
    """Those that it does not apply to, by their numbers among the tried ones, from 0."""

    @property
    def whole(self) -> bool:
        """It applies to every row."""
        return self.applied == self.tried

    def to_json(self) -> dict[str, Any]:
        """The counts, as ``score`` answers them."""
        return {"name": self.name, "applied": self.applied, "tried": self.tried, "missing": self.missing}

    def __str__(self) -> str:
        share = f"{self.applied / self.tried:.0%}"
        if not self.whole and self.applied and share in ("0%", "100%"):
            share = f"{self.applied / self.tried:.2%}"
        lacking = f"; {self.missing} of them have no answer" if self.missing else ""
        return f"{self.name} applies to {share} of the rows ({self.applied} of {self.tried} tried{lacking})"


def step(rows: int, count: int = ROWS) -> int:
    """Of so many rows, every how many-th is tried."""
    return max(1, -(-rows // count))


@functools.cache
def spread_rows(snapshot_dir: Path, count: int = ROWS) -> list[dict[str, Any]]:
    """Rows all over the training split (of another one, where there is none)."""
    found = sorted(snapshot_dir.glob("*.parquet"), key=lambda path: path.stem != "train")
    table = snapshot.read(found[0])
    return table.take(list(range(0, table.num_rows, step(table.num_rows, count)))).to_pylist()


def coverage(rubric: Rubric, rows: Sequence[Mapping[str, Any]]) -> list[Coverage]:
    """The coverage of every term that reads columns; of none, where a term failed on a row."""
    asked = {name: source.columns for name, source in rubric.sources.items() if source.columns}
    if not asked or not rows:
        return []
    failed = rubric.failed
    scores = score_texts(rubric, rows, [""] * len(rows)).scores
    if rubric.failed > failed:
        return []
    return [
        Coverage(
            name,
            sum(score is not None for score in scores[name]),
            len(rows),
            sum(any(row.get(column) in (None, "") or row[column] != row[column] for column in columns) for row in rows),
            tuple(number for number, score in enumerate(scores[name]) if score is None),
        )
        for name, columns in asked.items()
        if name in scores
    ]
