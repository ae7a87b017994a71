"""A plain aligned table on the terminal; whole lines where the output is read by something else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

UNFOLDED = 10_000
"""Columns of a file or pipe: a line is never cut there, so that grep finds what it holds."""


def show(columns: Sequence[str], rows: Iterable[Sequence[str]], folded: Sequence[str] = ()) -> None:
    """Prints a row a line.

    Args:
        columns: the headings.
        rows: as many cells each; printed as they are, brackets too.
        folded: the columns that may go over several lines where the terminal is narrow.
    """
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column not in folded, overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else UNFOLDED
    Console(highlight=False, markup=False, emoji=False, width=width).print(table)


def shortened(text: str, width: int) -> str:
    """The text on one line, cut to ``width`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
