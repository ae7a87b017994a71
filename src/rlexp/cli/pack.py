"""``pack``: a run as one file for a colleague: record, data by hash, the code of its rewards, weights by choice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.errors import printable
from rlexp.record import finished, go_on
from rlexp.record.pack import pack
from rlexp.record.packed import WEIGHTS


def command(arguments: list[str], here: Path) -> Answer:
    """``pack RUN FILE [--weights none|adapter|all]``: writes the file, whole or not at all.

    Raises:
        RunError: there is no such run, it is being trained, its record is not whole, its data is not the locked one, or
            the file cannot be written.
    """
    parser = Parser("pack", "Writes a run into one file, which unpack puts into another project.")
    parser.add_argument("run", metavar="RUN", help="a run folder, or pinned")
    parser.add_argument("file", metavar="FILE", help="the archive (zip) to write, such as run.zip")
    parser.add_argument(
        "--weights",
        choices=list(WEIGHTS),
        default="adapter",
        help="none, what was trained last (adapter, also of a whole model), or every checkpoint too (all)",
    )
    options, root = parser.parse_intermixed_args(arguments), project.root()
    run = finished.open(options.run, here, root)
    packed = pack(run, here / options.file, options.weights)
    content = {
        "format": FORMAT,
        "file": os.path.relpath(packed.file, here),
        "run": packed.index["place"],
        "identity": run.lock["identity"],
        "bytes": packed.file.stat().st_size,
        "files": len(packed.index["files"]),
        "weights": options.weights,
        "inputs": {name: one["path"] for name, one in packed.index["inputs"].items()},
        "notes": packed.notes,
    }
    return Answer(lambda: content, lambda: show(content))


def show(content: dict[str, Any]) -> None:
    """Prints what was packed, and what was not."""
    held = ", ".join(["its record", *content["inputs"].values(), f"weights: {content['weights']}"])
    print(printable(f"packed: {content['run']}, run {content['identity']}: {held}"))
    print(printable(f"{content['file']}: {content['files']} files, {content['bytes']} bytes"))
    for note in content["notes"]:
        print(printable(f"note: {note}"))
    print(printable(f"there: {go_on.line('unpack', content['file'])}"))
