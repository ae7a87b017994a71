"""``ship``: evaluate, export, gate, benchmark and card of a run in one command; the same command goes on."""

from __future__ import annotations

import os
from pathlib import Path

from rlexp import project
from rlexp.api import ship
from rlexp.api.evaluate import sort_words
from rlexp.cli import flags
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.console import RunConsole
from rlexp.errors import RunError
from rlexp.record import exports, finished


def command(arguments: list[str], here: Path) -> Answer:
    """``ship RUN [eval=TASKS] [export=FORMATS]``.

    Raises:
        RunError: the word names no run, or a task, a format or a package is missing; nothing was done.
        Failed: a stage failed.
    """
    parser = Parser("ship", f"Takes a run to its card, stage by stage. {flags.TRUST_HELP}")
    parser.add_argument("words", metavar="WORD", nargs="*", help="a run; and eval=TASKS, export=FORMATS, hardware=NAME")
    options = parser.parse_intermixed_args(arguments)
    words, overrides = sort_words(options.words, here)
    if len(words) != 1:
        what = "one run is shipped at a time" if words else "no run is named"
        raise RunError(what, where=" ".join(["ship", *words]), hint="type python -m rlexp ship RUN export=merged+gguf")
    root, console = project.root(), RunConsole()
    stages = ship.planned(words[0], overrides, here, root)
    done = [stage.name for stage in ship.ship(stages, root, console.print)]
    folder = exports.folder_of(finished.open(words[0], here, root).run_dir, root)
    shown = os.path.relpath(folder, root)
    return Answer(
        lambda: {"format": FORMAT, "folder": shown, "stages": done},
        lambda: print(f"\nshipped: {shown}"),
    )
