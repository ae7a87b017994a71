"""``runs tag``: says something of runs, for the people who read the list: tags, a note, an owner."""

from __future__ import annotations

from pathlib import Path

from rlexp import project
from rlexp.cli.answer import Answer
from rlexp.cli.arguments import Parser
from rlexp.console import show_table
from rlexp.errors import RunError, all_of, nearest
from rlexp.record import finished, notes, sweeps
from rlexp.record.listed import RunRow, read, to_json
from rlexp.record.run_folder import MANIFEST

WORD = "tag"
"""The first word behind ``runs``."""
COLUMNS = ("folder", "tags", "owner", "note")


def command(arguments: list[str], here: Path) -> Answer:
    """``runs tag RUN [more...] [--add TAG] [--remove TAG] [--note TEXT] [--owner NAME]``: of all of them, or none.

    Raises:
        RunError: there is no such run, a tag is none, or one that is to go is not there; nothing was written.
    """
    parser = Parser(f"runs {WORD}", "Tags runs, and notes what they are and whose. Without an option it shows that.")
    parser.add_argument("run", metavar="RUN", nargs="+", help="a run folder")
    parser.add_argument("--add", metavar="TAG", action="append", default=[], help="a tag; runs tag=TAG finds it")
    parser.add_argument("--remove", metavar="TAG", action="append", default=[], help="a tag that goes")
    parser.add_argument("--note", metavar="TEXT", help="what it is; '' takes the note away; runs note~WORD finds it")
    parser.add_argument("--owner", metavar="NAME", help="whose it is; '' takes it away; runs owner=NAME finds it")
    options, root = parser.parse_intermixed_args(arguments), project.root()
    folders = all_of(*(lambda typed=typed: _folder(typed, here, root) for typed in options.run))
    wanted = options.add, options.remove, options.note, options.owner
    said = all_of(*(lambda place=place: notes.read(place).changed(*wanted) for place in folders))
    if any(wanted) or options.note is not None or options.owner is not None:
        for place, now in zip(folders, said, strict=True):
            notes.write(place, now)
    rows = [read(place, root) for place in folders]
    return Answer(lambda: [to_json(row) for row in rows], lambda: _show(rows))


def _folder(typed: str, here: Path, root: Path) -> Path:
    """The run folder that was typed, from here or from the project folder."""
    for folder in (here / typed, root / typed):
        if (folder / MANIFEST).is_file() and folder.resolve().is_relative_to(root.resolve()):
            return root / folder.resolve().relative_to(root.resolve())
    sweeps.refuse(typed, here, root)
    known = [path.relative_to(root).as_posix() for path in finished.run_folders(root)]
    guess = nearest(typed, known)
    hint = f"did you mean {guess}? " if guess else ""
    raise RunError(f"there is no run at {typed}", where=typed, hint=f"{hint}python -m rlexp runs lists them")


def _show(rows: list[RunRow]) -> None:
    cells = [(row.folder, ", ".join(row.notes.tags), row.notes.owner, " ".join(row.notes.note.split())) for row in rows]
    show_table(COLUMNS, cells, folded=("folder", "note"))
