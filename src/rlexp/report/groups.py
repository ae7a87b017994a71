"""Which completions of a run are shown: all of them, or, of more than fit, whole groups of every step.

A group is taken by the hash of its prompt, in which no completion and no reward has a say: what is seen of the rewards
is what there is, and a prompt that is kept is kept at every step that asks it. One step is read at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlexp.errors import RunError
from rlexp.inputs import snapshot
from rlexp.record import completions

ROW_BYTES = 48
"""Bytes of a completion beside its texts and its scores."""
NUMBER_BYTES = 8
"""Bytes of a score."""
SPECIAL, ESCAPED = '["\\\\\\n\\t\\r]', "[<>&\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\u2028\u2029]"
"""Characters that are written as two, and as six (``page.embedded``)."""


@dataclass(frozen=True)
class Step:
    """A step whose completions were stored."""

    number: int
    starts: list[int]
    """The first row of each group, and behind the last the number of rows."""
    sizes: list[int]
    """Bytes of each group in the report, about."""
    ranks: list[int]
    """The groups in the order in which they are taken."""

    @property
    def rows(self) -> int:
        """Completions that were stored."""
        return self.starts[-1]


@dataclass(frozen=True)
class Choice:
    """The groups that are shown."""

    steps: list[Step]
    groups: dict[int, list[int]]
    """Step -> the places of its groups that are shown, in order."""

    @property
    def total(self) -> int:
        """Completions that were stored."""
        return sum(step.rows for step in self.steps)

    @property
    def shown(self) -> int:
        """Completions that are shown."""
        own = {step.number: step for step in self.steps}
        return sum(own[n].starts[g + 1] - own[n].starts[g] for n, groups in self.groups.items() for g in groups)

    @property
    def how(self) -> str:
        """How they were chosen."""
        if self.shown == self.total:
            return "all that were stored"
        steps = sum(1 for groups in self.groups.values() if groups)
        every = "every step" if steps == len(self.steps) else f"{steps} of {len(self.steps)} steps, evenly apart"
        return (
            f"whole groups of {every}, as many of each as fit into the file, taken by the hash of their prompt: no "
            "completion and no reward has a say in it, and a prompt that is kept is kept wherever it was asked"
        )


def measure(run_dir: Path, terms: int, damaged: Callable[[RunError], None]) -> Iterator[Step]:
    """Every step whose completions were stored, with the sizes of its groups.

    Args:
        terms: scores of a completion.
        damaged: is told of every file that cannot be read; its step is passed over.
    """
    for number in completions.steps(run_dir):
        try:
            table = snapshot.read(run_dir / completions.name(number))
        except RunError as error:
            damaged(error)
            continue
        if found := _measured(number, table, terms):
            yield found


def choose(steps: Sequence[Step], room: int) -> Choice:
    """The groups that fit into so many bytes: of every step as many, so far as there is room."""
    taken: dict[int, list[int]] = {step.number: [] for step in steps}
    order = _spread(len(steps))
    for turn in range(max((len(step.ranks) for step in steps), default=0)):
        for place in order:
            step = steps[place]
            if turn < len(step.ranks) and step.sizes[step.ranks[turn]] <= room:
                taken[step.number].append(step.ranks[turn])
                room -= step.sizes[step.ranks[turn]]
    return Choice(list(steps), {number: sorted(groups) for number, groups in taken.items()})


def boundaries(table: Any) -> list[int]:
    """The first row of each group, and behind the last the number of rows; of a record that is older than groups, rows
    with the same prompt after each other are one."""
    if not table.num_rows:
        return [0]
    names = table.column_names
    name = "group" if "group" in names else "prompt"
    codes = table.column(name).combine_chunks().dictionary_encode() if name in names else None
    if codes is None:
        return [0, table.num_rows]
    found = codes.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return [0, *(np.flatnonzero(np.diff(found)) + 1).tolist(), table.num_rows]


def texts(column: Any) -> list[str]:
    """The texts of a column, whatever it holds, empty where there is none; what is no character is replaced by
    U+FFFD."""
    return [one or "" for one in texts_or_none(column)]


def texts_or_none(column: Any) -> list[str | None]:
    """As ``texts``; None where there is none."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        raw = column.cast(pa.large_binary()).to_pylist()
        return [None if one is None else one.decode("utf-8", "replace") for one in raw]
    return [None if one is None else str(one) for one in column.to_pylist()]


def _measured(number: int, table: Any, terms: int) -> Step | None:
    starts = boundaries(table)
    if len(starts) < 2 or "completion" not in table.column_names:
        return None
    lengths = sum(_lengths(table.column(name)) for name in table.column_names if name == "completion")
    rows = np.add.reduceat(lengths + ROW_BYTES + NUMBER_BYTES * (terms + 2), starts[:-1])
    firsts = table.take(starts[:-1])
    others = [name for name in table.column_names if name == "prompt" or name.startswith("read.")]
    once: Any = sum((_lengths(firsts.column(name)) for name in others), np.zeros(len(firsts), dtype=np.int64))
    prompts = texts(firsts.column("prompt")) if "prompt" in table.column_names else [""] * len(firsts)
    hashes = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in prompts]
    ranks = sorted(range(len(hashes)), key=lambda place: (hashes[place], place))
    return Step(number, starts, (rows + once + ROW_BYTES).tolist(), ranks)


def _lengths(column: Any) -> Any:
    """The bytes of every text of a column as the report writes it; of other values about."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.full(len(column), 4 * ROW_BYTES, dtype=np.int64)
    found = pc.binary_length(column).fill_null(0)
    for characters, more in ((SPECIAL, 1), (ESCAPED, 5)):
        times = pc.count_substring_regex(column, characters).fill_null(0)
        found = pc.add(found, pc.multiply(times, more))
    return found.to_numpy(zero_copy_only=False).astype(np.int64)


def _spread(number: int) -> list[int]:
    """The places 0 to number - 1 so ordered that every beginning lies evenly among them."""
    bits = max(1, (number - 1).bit_length())
    mirrored = (int(f"{place:0{bits}b}"[::-1], 2) for place in range(1 << bits))
    return [place for place in mirrored if place < number]
