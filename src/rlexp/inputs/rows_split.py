"""Rows held out of those to train on: a share of them, or rows of their own, never with a prompt of the others."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from rlexp.errors import RunError

Row = dict[str, Any]
BOUND = 2**63
"""The integers of a column lie between this and its negative."""


def _prompt_key(row: Row) -> str:
    return json.dumps(row["prompt"], ensure_ascii=False)


def split_rows(
    all_rows: list[Row], test: float | int, seed: int, where: str, what: str = "the file"
) -> tuple[list[Row], list[Row]]:
    """The rows to train on and those held out; rows with the same prompt stay together.

    Args:
        test: the share (0.1) or the number (200) of rows to hold out.
        seed: draws them.
        where: the script, for messages.
        what: how a message calls what holds them.

    Raises:
        RunError: one of the two would have no rows.
    """
    if isinstance(test, float) and not 0 < test < 1:
        raise RunError(
            f"test={test} is neither a share nor a number of rows",
            where=f"{where}: test",
            hint="a share lies between 0 and 1, such as 0.1; a number of rows is written whole, such as 200",
        )
    wanted = round(test * len(all_rows)) if isinstance(test, float) else test
    groups: dict[str, list[Row]] = {}
    for row in all_rows:
        groups.setdefault(_prompt_key(row), []).append(row)
    keys = list(groups)
    random.Random(seed).shuffle(keys)
    held_out: set[str] = set()
    count = 0
    while count < wanted and keys:
        key = keys.pop()
        held_out.add(key)
        count += len(groups[key])
    if not held_out or not keys:
        raise RunError(
            f"test={test} leaves a split without rows: {what} has {len(all_rows)} rows of {len(groups)} prompts",
            where=f"{where}: test",
            hint="give a share between 0 and 1 or a number below the number of prompts, or name a test_file",
        )
    train_rows = [row for row in all_rows if _prompt_key(row) not in held_out]
    return train_rows, [row for row in all_rows if _prompt_key(row) in held_out]


def check_disjoint(own: Mapping[str, Row], held_out: Mapping[str, Row], test_file: str) -> None:
    """Checks whether no row to train on has a prompt of those held out.

    Raises:
        RunError: some have.
    """
    prompts = {_prompt_key(row) for row in held_out.values()}
    shared = [place for place, row in own.items() if _prompt_key(row) in prompts]
    if shared:
        raise RunError(
            f"{len(shared)} training rows have a prompt of {test_file}",
            where=", ".join(shared[:5]) + (", ..." if len(shared) > 5 else ""),
            hint="remove them from one of the two files",
        )


def check_same_columns(train_row: Row, test_row: Row, test_file: str | None, where: str) -> None:
    """Checks whether both kinds of rows have the same columns.

    Raises:
        RunError: only one has some.
    """
    different = sorted(train_row.keys() ^ test_row.keys())
    if different:
        raise RunError(
            f"only one of the two files has {', '.join(different)}",
            where=f"{where}: test_file={test_file}",
            hint="give both files the same columns",
        )


def _large_integers_as_text(all_rows: list[Row]) -> list[str]:
    """Makes the integers of a column text, where one of them is beyond 64 bits, which is what a column holds.

    Returns:
        The names of these columns.
    """
    large = {
        name for row in all_rows for name, value in row.items() if _is_integer(value) and not -BOUND <= value < BOUND
    }
    for row in all_rows:
        for name in large & row.keys():
            if _is_integer(row[name]):
                row[name] = str(row[name])
    return sorted(large)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def one_kind_a_column(rows: Mapping[str, Row]) -> list[str]:
    """Makes the values of a column one kind, which is what a snapshot holds, where nothing is lost by it.

    Numbers become text where one of them is an integer beyond 64 bits, and answers where others are text.

    Args:
        rows: all of them by their place, which messages name.

    Returns:
        What was done, for each such column.

    Raises:
        RunError: a column has several kinds.
    """
    notes = [f"{name}: integers beyond 64 bits as text" for name in _large_integers_as_text(list(rows.values()))]
    for name in {name: None for row in rows.values() for name in row}:
        first: dict[str, str] = {}
        for place, row in rows.items():
            if row.get(name) is not None:
                first.setdefault(_kind(row[name]), place)
        if name == "answer" and set(first) == {"text", "number"}:
            for row in rows.values():
                if row.get(name) is not None:
                    row[name] = str(row[name])
            notes += [f"{name}: numbers as text, as others are"]
        elif len(first) > 1:
            shown = ", ".join(f"{kind} ({str(rows[place][name])[:40]!r}) in {place}" for kind, place in first.items())
            raise RunError(
                f"the column {name!r} mixes kinds: {shown}",
                where=f"{list(first.values())[1]}: {name}",
                hint="make them all text in the file",
            )
    return notes


def _kind(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return {"str": "text", "bool": "true or false"}.get(value.__class__.__name__, value.__class__.__name__)
