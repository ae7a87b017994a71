"""``sweep``: reads a sweep that ran: its points, what each key did, which setting is best and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.cli import sweep_view
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.evaluate.sweeps import reading, table, told
from rlexp.evaluate.sweeps.reading import Reading


def command(arguments: list[str], here: Path) -> Answer:
    """``sweep FOLDER [--metric NAME] [--csv FILE] [--parquet FILE]``: reads the records of its points; runs nothing.

    Raises:
        RunError: there is no such sweep or metric, or a file is there already or cannot be written.
    """
    parser = Parser("sweep", "Reads a sweep (-m) that ran: its points, the effect of each key, the best setting.")
    parser.add_argument("folder", metavar="FOLDER", help="that of a sweep")
    about = "a held-out metric, or TASK.METRIC of an evaluation; by default the main held-out one"
    parser.add_argument("--metric", metavar="NAME", help=about)
    for kind in ("csv", "parquet"):
        parser.add_argument(f"--{kind}", metavar="FILE", help="writes one row a point, a column a varied key")
    options, root = parser.parse_args(arguments), project.root()
    files = {f"--{kind}": typed for kind in ("csv", "parquet") if (typed := getattr(options, kind))}
    for flag, typed in files.items():
        table.require_free(here / typed, f"{flag} {typed}")
    found = reading.read(reading.find(options.folder, here, root), root, options.metric)
    for flag, typed in files.items():
        table.write(found, here / typed, f"{flag} {typed}", flag == "--parquet")
    return Answer(lambda: to_json(found, list(files.values())), lambda: sweep_view.show(found, list(files.values())))


def to_json(found: Reading, written: list[str]) -> dict[str, Any]:
    """A sweep that was read, as JSON values."""
    return {"format": FORMAT, **told.to_json(found), "written": written}
