"""``card``: what a person must know of a run before using it, from its record: exports/RUN/card/README.md."""

from __future__ import annotations

import os
from pathlib import Path

from rlexp import project
from rlexp.api.card import card
from rlexp.card.write import NOTES
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser


def command(arguments: list[str], here: Path) -> Answer:
    """``card RUN``.

    Raises:
        RunError: the word names no run, or the notes cannot be read.
    """
    parser = Parser("card", "Writes the card of a run: what it is for, how good, how it fails, how it is spoken to.")
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--dir", metavar="FOLDER", help="the folder of its export; without it the one of export RUN")
    options = parser.parse_args(arguments)
    root = project.root()
    file = card(options.run, here, root, options.dir)
    shown = os.path.relpath(file, root)
    notes = os.path.relpath(file.with_name(NOTES), root)
    return Answer(
        lambda: {"format": FORMAT, "file": shown, "notes": notes},
        lambda: print(f"card: {shown}\na person's own words: {notes} (never overwritten)"),
    )
