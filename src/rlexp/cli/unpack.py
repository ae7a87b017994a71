"""``unpack``: puts a packed run into this project, after all of it was checked; nothing of it is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.errors import printable
from rlexp.record import finished, go_on, status
from rlexp.record.unpack import unpack


def command(arguments: list[str], here: Path) -> Answer:
    """``unpack FILE [--to FOLDER]``: all of it or nothing, and never over what is there.

    Raises:
        RunError: the file is no pack, is damaged or was changed, or the folder is taken.
    """
    parser = Parser("unpack", "Puts a packed run into this project; its code asks before it runs, as any other's.")
    parser.add_argument("file", metavar="FILE", help="an archive that pack wrote")
    parser.add_argument("--to", metavar="FOLDER", help="the new run folder, such as outputs/theirs; default: as it was")
    options, root = parser.parse_intermixed_args(arguments), project.root()
    done = unpack(here / options.file, root, options.to)
    run = finished.open(str(done.run_dir), root, root)
    shown = os.path.relpath(done.run_dir, root)
    content = {
        "format": FORMAT,
        "run_dir": shown,
        "identity": run.lock["identity"],
        "status": status.of(run.manifest)[0],
        "inputs": {name: os.path.relpath(place, root) for name, place in done.inputs.items()},
        "next": [go_on.line("replay", shown), go_on.line("inspect", shown)],
    }
    return Answer(lambda: content, lambda: show(content))


def show(content: dict[str, Any]) -> None:
    """Prints where it was put, and what can be done with it."""
    print(printable(f"unpacked: {content['run_dir']}, run {content['identity']}, {content['status']}"))
    for name, place in content["inputs"].items():
        print(printable(f"{name}: {place}"))
    print(printable(f"next: {', or '.join(content['next'])}"))
