"""``data``: a look at the rows before anything is trained on them: lengths, duplicates, leaks, odd rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlexp import project
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import command_line, hydra_options
from rlexp.cli.doctor import COLOURS
from rlexp.compose.run import Run
from rlexp.console import UNFOLDED
from rlexp.errors import RunError, printable
from rlexp.inputs.prepare import prepare
from rlexp.preflight.data_quality.look import Look, look
from rlexp.verdict import Level

SHOWN = 100
"""Characters of a strange row that are shown."""


def command(arguments: list[str], here: Path) -> Answer:
    """``data [overrides]``: looks at the rows of a run's data set; makes the snapshot where it is missing.

    The exit code is 1 when a finding is a failure.
    """
    options, root = hydra_options(arguments, "data"), project.root()
    points = command_line(options, here).points()
    if len(points) > 1:
        raise RunError("data looks at one data set", where="-m", hint="leave out -m")
    run = points[0].run
    seen = look(run, prepare(run, root))
    failed = any(finding.verdict.level is Level.failed for finding in seen.findings)
    return Answer(lambda: to_json(run, seen), lambda: show(run, seen), int(failed))


def to_json(run: Run, seen: Look) -> dict[str, Any]:
    """The look as JSON values."""
    splits = seen.description["splits"]
    return {
        "format": FORMAT,
        "dataset": {"name": run.dataset.name, "path": run.dataset.path, "type": run.dataset.type.name},
        "splits": {name: {"rows": splits[name]["rows"], "prompts": count} for name, count in seen.prompts.items()},
        "columns": seen.description["columns"],
        "findings": [finding.to_json() for finding in seen.findings],
        "strangest": [
            {"split": row.split, "row": row.number, "why": why, "text": row.prompt} for row, why in seen.strangest
        ],
    }


def show(run: Run, seen: Look) -> None:
    """Prints the look on one screen."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else UNFOLDED)
    splits = seen.description["splits"]
    counts = ", ".join(f"{splits[name]['rows']} {name} ({n} different prompts)" for name, n in seen.prompts.items())
    console.print(f"{run.dataset.path} ({run.dataset.type.name}): {counts}", markup=False)
    console.print(f"columns: {', '.join(seen.description['columns'])}\n", markup=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("finding", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for name in ("seen", "do"):
        table.add_column(name, overflow="fold")
    for finding in seen.findings:
        verdict = finding.verdict
        level = Text(verdict.level.value, COLOURS[verdict.level])
        table.add_row(verdict.name, level, Text(printable(verdict.message)), Text(verdict.hint or ""))
    console.print(table)
    if seen.strangest:
        console.print("\nleast like the rest")
    for row, why in seen.strangest:
        text = printable(" ".join(row.prompt.split()))
        console.print(f"  {row.place}: {why}: {text[:SHOWN]}{'...' if len(text) > SHOWN else ''}", markup=False)
