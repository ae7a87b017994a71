"""Printing of the verbs: a run's own lines and warnings, plain aligned tables, and libraries kept quiet meanwhile."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rlexp.errors import printable
from rlexp.secrets import clean_file, masked

UNFOLDED = 10_000
"""Columns of a file or pipe: a line is never cut there, so that grep finds what it holds."""


KERNELS = ("ZMQInteractiveShell", "Shell")
"""Names of the shells of notebooks: Jupyter's, Colab's."""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, which shows pictures and takes back what it showed."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ in KERNELS


class RunConsole(Console):
    """The terminal of one run: it prints also while the output of the libraries goes to a file.

    In a notebook it prints plain lines: rich would make a picture of each.
    """

    def __init__(self) -> None:
        plain = False if in_notebook() else None
        super().__init__(file=sys.stdout, highlight=False, soft_wrap=True, force_jupyter=False, force_terminal=plain)

    def warn(self, message: str) -> None:
        """Prints a warning, secrets masked."""
        self.print(f"[yellow]warning[/] {escape(printable(masked(message)))}")

    def on_broken_pipe(self) -> None:
        """Nobody reads the lines any more (``| head``): the run goes on without them, and writes its record."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Sends what the libraries print to a file, so that the run's own lines can be read; at its end without secrets."""
    try:
        with log.open("a", buffering=1) as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            yield
    finally:
        clean_file(log)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], folded: Sequence[str] = ()) -> None:
    """Prints one line for each row; whole lines where the output is read by something else than a terminal.

    Args:
        columns: the headings.
        rows: as many cells each; printed as they are, brackets too, but for control characters.
        folded: the columns that may go over several lines where the terminal is narrow.
    """
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column not in folded, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    width = None if sys.stdout.isatty() else UNFOLDED
    Console(highlight=False, markup=False, emoji=False, width=width).print(table)


def shortened(text: str, width: int) -> str:
    """The text on one line, cut to ``width`` characters, without control characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"
