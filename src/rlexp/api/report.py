"""The report of a run, a sweep or several runs: the one way to it, from Python and from the command line."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from rlexp import secrets
from rlexp.errors import RunError
from rlexp.evaluate.sweeps import reading
from rlexp.record import finished, sweeps
from rlexp.record.run_folder import LOCK
from rlexp.report import several, sweep, write
from rlexp.report.write import Written

SWEEPS, NAMED = finished.FOLDERS[1], 3
"""Where sweeps lie, and how many of them a hint names."""


def report(words: Sequence[str], here: Path, root: Path, out: str | None = None) -> Written:
    """Writes one HTML file that shows what happened; it opens from the disk and asks no network.

    Args:
        words: a run, a sweep, or several runs.
        here: the folder in which they were typed.
        root: the project folder.
        out: the file, from ``here``; None for one in ``reports/`` of the project.

    Returns:
        The file, and how many completions of how many it shows.

    Raises:
        RunError: a word names no run and no sweep, a record cannot be read, or the file cannot be written.
    """
    if not words:
        raise RunError("a report is of a run or a sweep", "report", "type report RUN; python -m rlexp runs lists them")
    secrets.learn(root)
    place = here / out if out is not None else None
    if len(words) == 1 and (folder := _sweep(words[0], here, root)):
        if place:
            write.require_place(place, str(out), [folder])
        found = reading.read(folder, root)
        page = dataclasses.replace(sweep.gather(found), whose=write.whose([folder], root))
        return write.of_page(page, place or write.default_place([folder], root))
    runs = [finished.open(word, here, root) for word in words]
    folders = [run.run_dir for run in runs]
    if place:
        write.require_place(place, str(out), folders)
    file = place or write.default_place(folders, root)
    if len(runs) == 1:
        return write.of_run(runs[0], file)
    several.require(runs, words)
    return write.of_page(dataclasses.replace(several.gather(runs), whose=write.whose(folders, root)), file)


def _sweep(word: str, here: Path, root: Path) -> Path | None:
    """The folder of a sweep; None where it is none.

    Raises:
        RunError: it is a folder with sweeps in it, or the last part of the name of one, and no run.
    """
    if found := next((folder for folder in (here / word, root / word) if sweeps.holds(folder)), None):
        return found
    if any((folder / word).is_file() or (folder / word / LOCK).is_file() for folder in (here, root)):
        return None
    known = sorted({os.path.relpath(path.parent, root) for path in (root / SWEEPS).rglob(sweeps.FILE)})
    typed = word.rstrip("/")
    if near := [one for one in known if one.startswith(f"{typed}/") or one.endswith(f"/{typed}")]:
        more = f" or one of {len(near) - NAMED} more" if len(near) > NAMED else ""
        hint = f"type report {', report '.join(near[:NAMED])}{more}"
        raise RunError(f"{word} is no run and no sweep", where=word, hint=hint)
    return None
