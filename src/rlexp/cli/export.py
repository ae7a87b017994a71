"""``export``: artifacts of a run, each held against the run in its own runtime.

``export=merged+gguf+torchao+onnx`` names the formats (without it the merged model alone), ``export.gguf.types=[q8_0]``
and ``export.gate.rows=128`` change them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.api.evaluate import sort_words
from rlexp.api.export import Exported, export, planned
from rlexp.cli import export_view, flags
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.compose.exports import ROOT
from rlexp.console import RunConsole
from rlexp.errors import RunError


def command(arguments: list[str], here: Path) -> Answer:
    """``export RUN|RUN@STEP|RUN@best [export=FORMATS] [export.KEY=VALUE]``.

    Raises:
        RunError: the word names no run, a format or key is unknown, or a package is missing; nothing was written.
    """
    parser = Parser("export", f"Makes artifacts of a run, and holds each against the run. {flags.TRUST_HELP}")
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="a run, RUN@STEP or RUN@best; and export=FORMATS, export.KEY=VALUE, hardware=NAME",
    )
    options = parser.parse_intermixed_args(arguments)
    words, overrides = sort_words(options.words, here)
    if len(words) != 1:
        what = "one run is exported at a time" if words else "no run is named"
        hint = f"type python -m rlexp export {words[0] if words else 'RUN'} {ROOT}=merged+gguf"
        raise RunError(what, where=" ".join(["export", *words]), hint=hint)
    root, console = project.root(), RunConsole()
    done = export(planned(words[0], overrides, here, root), console.print)
    return Answer(lambda: to_json(done, root), lambda: export_view.show(done, root), 1 if done.broken else 0)


def to_json(done: Exported, root: Path) -> dict[str, Any]:
    """The export as JSON values: its manifest, and where it is."""
    content = {key: value for key, value in done.content.items() if key != "format"}
    return {"format": FORMAT, "folder": os.path.relpath(done.folder, root), **content}
