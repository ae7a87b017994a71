"""``doctor``: is this machine fit? Every check that needs no experiment, as a table. Imports no torch and writes
nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlexp import project
from rlexp.cli.answer import Answer
from rlexp.cli.arguments import Parser
from rlexp.console import UNFOLDED
from rlexp.errors import RunError
from rlexp.preflight import facts, machine
from rlexp.verdict import Level, Verdict

COLOURS = {Level.passed: "green", Level.warning: "yellow", Level.failed: "bold red", Level.skipped: "dim"}


def command(arguments: list[str], here: Path) -> Answer:
    """``doctor [--json]``: prints every check with its verdict; outside of a project those of the machine.

    The exit code is 1 when a check failed.
    """
    parser = Parser("doctor", "Checks the machine: versions, GPU, disk, memory, caches, the hub, the sandbox.")
    parser.parse_args(arguments)
    try:
        folder = project.root()
    except RunError:  # no project: the machine can be asked all the same
        folder = here
    verdicts = machine.verdicts(facts.gather(folder))
    return Answer(
        lambda: [{**verdict.to_json(), "where": verdict.where, "hint": verdict.hint} for verdict in verdicts],
        lambda: show(verdicts),
        int(machine.worst(verdicts) is Level.failed),
    )


def show(verdicts: Sequence[Verdict]) -> None:
    """Prints one row for each check, in colour on a terminal; plain whole lines into a file or pipe."""
    table = Table(box=None, pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for name in ("seen", "do"):
        table.add_column(name, overflow="fold")
    for verdict in verdicts:
        style = COLOURS[verdict.level]
        table.add_row(verdict.name, Text(verdict.level.value, style), Text(verdict.message), Text(verdict.hint or ""))
    Console(highlight=False, width=None if sys.stdout.isatty() else UNFOLDED).print(table)
