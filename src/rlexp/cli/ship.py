"""``ship``: evaluate, export, gate, benchmark and card of a run in one command; the same command goes on."""

from __future__ import annotations

import os
from pathlib import Path

from rlexp import project
from rlexp.api import ship
from rlexp.api.evaluate import sort_words
from rlexp.cli import benchmark, flags
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.console import RunConsole
from rlexp.errors import RunError, printable


def command(arguments: list[str], here: Path) -> Answer:
    """``ship RUN|RUN@STEP|RUN@best [eval=TASKS] [export=FORMATS]``.

    Raises:
        RunError: the word names no run, or a task, a format or a package is missing; nothing was done.
        Failed: a stage failed.
    """
    parser = Parser("ship", f"Takes a run to its card, stage by stage. {flags.TRUST_HELP}")
    parser.add_argument("words", metavar="WORD", nargs="*", help="a run; and eval=TASKS, export=FORMATS, hardware=NAME")
    benchmark.add_limits(parser)
    options = parser.parse_intermixed_args(arguments)
    words, overrides = sort_words(options.words, here)
    if len(words) != 1:
        what = "one run is shipped at a time" if words else "no run is named"
        raise RunError(what, where=" ".join(["ship", *words]), hint="type python -m rlexp ship RUN export=merged+gguf")
    root, console = project.root(), RunConsole()
    asked = ship.planned(words[0], overrides, benchmark.limits_typed(options), here, root)
    wrong = ship.ship(asked, console.print)
    shown, stages = os.path.relpath(asked.folder, root), [stage.name for stage in asked.stages]

    def show() -> None:
        print()
        for line in wrong:
            print(printable(line))
        print(f"not to be shipped as it is: {shown}" if wrong else f"shipped: {shown}")

    content = {"format": FORMAT, "folder": shown, "stages": stages, "wrong": wrong}
    return Answer(lambda: content, show, 1 if wrong else 0)
