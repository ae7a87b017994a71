"""The layouts in which one JSON object holds all rows of a file: below a key, by their numbers, or in columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlexp.errors import RunError
from rlexp.inputs.row_values import Row

OF_A_ROW = {"prompt", "messages", "conversations", "conversation", "chosen", "rejected", "instruction"}
"""Keys of a row: an object that has one beside a list holds no rows."""


def rows_in(whole: Row, where: str) -> tuple[list[Any], str] | None:
    """The rows of an object and what is to be said of it; None where the object is a row itself.

    Raises:
        RunError: it holds several lists of rows, or columns of different lengths.
    """
    lists = {key: part for key, part in whole.items() if isinstance(part, list) and part}
    of_rows = {key: part for key, part in lists.items() if all(isinstance(row, dict) for row in part)}
    if any(map(_is_message, (row for part in of_rows.values() for row in part))):
        return None
    if of_rows and not OF_A_ROW & whole.keys() and len(lists) == len(of_rows):
        if len(of_rows) > 1:
            raise RunError(
                f"the file holds several lists of rows: {', '.join(of_rows)}",
                where=where,
                hint="make a file of each; one of them may be held out: dataset.params.test_file=FILE",
            )
        ((key, rows),) = of_rows.items()
        beside = [other for other in whole if other != key]
        return rows, f"the rows below the key {key}" + (f", without {', '.join(beside)} beside it" if beside else "")
    if len(lists) == len(whole):
        return _of_columns(lists, where), "a list for each column"
    if whole and all(isinstance(part, dict) and part and not _is_message(part) for part in whole.values()):
        return _of_numbers(whole, where)
    return None


def _is_message(value: Mapping[str, Any]) -> bool:
    return bool({"role", "from"} & value.keys())


def _of_columns(columns: Mapping[str, list[Any]], where: str) -> list[Row]:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise RunError(
            f"the file holds a list for each column, of different lengths: {shown}",
            where=where,
            hint='give every column as many values, or write one object a row: [{"prompt": ...}, ...]',
        )
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _of_numbers(whole: Row, where: str) -> tuple[list[Any], str] | None:
    """Rows by their numbers, or, as pandas writes a table, the values of each column by theirs."""
    if all(key.isdecimal() for key in whole):
        return list(whole.values()), "rows by their numbers"
    if not all(key.isdecimal() for part in whole.values() for key in part):
        return None
    numbers = list(next(iter(whole.values())))
    if any(list(part) != numbers for part in whole.values()):
        raise RunError(
            "the file holds the values of each column by their numbers, and not the same numbers in each",
            where=where,
            hint='write one object a row: [{"prompt": ...}, ...]; with pandas: to_json(FILE, orient="records")',
        )
    return [{name: part[number] for name, part in whole.items()} for number in numbers], "columns by the rows' numbers"
