"""``report``: one HTML file that shows a run, a sweep, or several runs; it opens from the disk and asks no network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.api.report import report
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.errors import printable
from rlexp.report.write import Written


def command(arguments: list[str], here: Path) -> Answer:
    """``report RUN|SWEEP|A B [C ...] [--out FILE]``.

    Raises:
        RunError: a word names no run and no sweep, a record cannot be read, or the file cannot be written.
    """
    parser = Parser("report", "Writes one HTML file that shows a run, a sweep, or several runs beside each other.")
    about = "a run folder, the folder of a sweep, or several run folders"
    parser.add_argument("what", metavar="RUN", nargs="+", help=about)
    parser.add_argument("--out", metavar="FILE", help="where it goes; by default reports/NAME.html of the project")
    options, root = parser.parse_intermixed_args(arguments), project.root()
    found = report(options.what, here, root, options.out)
    return Answer(lambda: to_json(found, root), lambda: show(found, root))


def to_json(found: Written, root: Path) -> dict[str, Any]:
    """What was written, as JSON values."""
    stored = None
    if found.total is not None:
        stored = {"shown": found.shown, "total": found.total, "how": found.how}
    return {
        "format": FORMAT,
        "file": os.path.relpath(found.file, root),
        "kind": found.kind,
        "bytes": found.bytes,
        "completions": stored,
    }


def show(found: Written, root: Path) -> None:
    """Says where it is, and what of the completions it shows."""
    print(printable(f"report: {os.path.relpath(found.file, root)}, {found.bytes / 1e6:.1f} MB; open it in a browser"))
    if found.total is not None and found.shown == found.total:
        print(f"completions: all {found.total}")
    elif found.total is not None:
        print(f"completions: {found.shown} of {found.total}: {found.how}")
