"""The rows of a snapshot as texts, and what a look at them finds: a verdict with the rows that it is about."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.inputs import snapshot
from rlexp.verdict import Level, Verdict

SHOWN = 5
"""Rows that a sentence names."""
KEPT = 100
"""Rows of a finding that its JSON holds."""
REPLIES = ("completion", "chosen", "rejected")
"""Columns of what is to be answered."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a split as texts."""

    split: str
    number: int
    """From 0, as in the file."""
    prompt: str
    """What every turn says, one a line."""
    question: str
    """What the last turn says."""
    replies: tuple[str, ...]
    """Of the columns of REPLIES that there are."""
    answer: str | None
    """The column ``answer`` as text; None where there is none."""
    label: bool | None
    """Of unpaired preferences."""
    scored: tuple[str, ...] = ()
    """Of the other columns that a reward or the chat template reads."""

    @property
    def place(self) -> str:
        """``train 17``."""
        return f"{self.split} {self.number}"


@dataclass(frozen=True)
class Finding:
    """A verdict on the data, with the rows that it is about."""

    verdict: Verdict
    rows: tuple[Row, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Name, level, what was seen, what to do, how many rows it is about, and the first of them."""
        kept = [{"split": row.split, "row": row.number} for row in self.rows[:KEPT]]
        return {**self.verdict.to_json(), "hint": self.verdict.hint, "count": len(self.rows), "rows": kept}


def read(snapshot_dir: Path, splits: Iterable[str], columns: Iterable[str] = ()) -> dict[str, list[Row]]:
    """The rows of each split of a snapshot.

    Args:
        columns: the other columns that are scored by, or rendered.

    Raises:
        RunError: a file cannot be read.
    """
    others = sorted({*columns} - {"prompt", *REPLIES, "answer", "label"})
    return {split: _rows(snapshot_dir, split, others) for split in splits}


def _rows(snapshot_dir: Path, split: str, others: Sequence[str]) -> list[Row]:
    table = snapshot.read(snapshot_dir / f"{split}.parquet")
    wanted = [name for name in ("prompt", *REPLIES, "answer", "label", *others) if name in table.column_names]
    made: list[Row] = []
    for batch in table.select(wanted).to_batches(max_chunksize=10_000):  # not all rows as Python's values at once
        for row in batch.to_pylist():
            turns, answer = _turns(row.get("prompt")), row.get("answer")
            replies = tuple("\n".join(_turns(row[name])) for name in REPLIES if name in row)
            text, label = None if answer is None else str(answer), row.get("label")
            more = tuple(str(row[name]) for name in others if name in row)
            made.append(Row(split, len(made), "\n".join(turns), turns[-1] if turns else "", replies, text, label, more))
    return made


def _turns(value: Any) -> list[str]:
    if value is None or isinstance(value, str):
        return [value or ""]
    return [str(turn.get("content") or "") for turn in value]


def plain(text: str) -> str:
    """A text as a reader compares it: compatible characters, capitals and white space make no difference."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def words(text: str) -> list[str]:
    """The words, whole numbers and signs of a plain text."""
    return re.findall(r"\w+(?:[.,]\d+)*|[^\w\s]", text)


def named(rows: Sequence[Row]) -> str:
    """``train 3, 17 and test 2 ... (90 more)``."""
    more = f" ... ({len(rows) - SHOWN} more)" if len(rows) > SHOWN else ""
    return ", ".join(row.place for row in rows[:SHOWN]) + more


def share(count: int, of: int) -> str:
    """``12 of 2000 rows (0.6%)``."""
    part = count / of if of else 0.0
    return f"{count} of {of} rows ({part:.1%})"


def finding(name: str, level: Level, message: str, hint: str | None = None, rows: Sequence[Row] = ()) -> Finding:
    """A finding whose sentence names its first rows, but for what is well."""
    said = f"{message}: {named(rows)}" if rows and level is not Level.passed else message
    return Finding(Verdict(name, level, said, hint=None if level is Level.passed else hint), tuple(rows))


def of_train(verdict: Verdict, train: Sequence[Row]) -> Finding:
    """A verdict of the run's own checks as a finding: with the training rows that it names by number."""
    return Finding(verdict, tuple(train[number] for number in verdict.rows))
