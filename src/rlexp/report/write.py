"""Writes a report: its place, what must not be written over, and as many completions as fit."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlexp.errors import RunError
from rlexp.files import FULL, whole_file
from rlexp.inputs.digest import json_sha256
from rlexp.record.finished import FOLDERS, FinishedRun, record_around
from rlexp.report import groups, one, rows
from rlexp.report.damage import Damage
from rlexp.report.page import MARK, WHOSE, Page, render

FOLDER = "reports"
"""Where reports go that no place was named for, in the project's folder."""
LIMIT = 14_900_000
"""Bytes of a report."""
SUFFIXES = (".html", ".htm")
TRIES = 8


@dataclass(frozen=True)
class Written:
    """A report that was made."""

    file: Path
    kind: str
    """run, sweep or runs."""
    bytes: int
    shown: int | None = None
    """Completions that it shows of ``total`` that were stored; None of a report without completions."""
    total: int | None = None
    how: str | None = None
    """How those that are shown were chosen."""


def whose(folders: Sequence[Path], root: Path) -> str:
    """Of what a report is: a hash of the folders that it shows, in their order, from the project folder."""
    places = [os.path.relpath(folder.resolve(), root.resolve()) for folder in folders]
    return json_sha256(places)[:12]


def default_place(folders: Sequence[Path], root: Path) -> Path:
    """The file of a report that no place was named for: ``reports/`` with the path of what it shows. Where that name is
    taken by the report of something else, or by no report, a hash of the folders stands behind it."""
    names = []
    for folder in folders[:2]:
        inside = folder.resolve().is_relative_to(root.resolve())
        parts = folder.resolve().relative_to(root.resolve()).parts if inside else (folder.resolve().name,)
        parts = parts[1:] if len(parts) > 1 and parts[0] in FOLDERS else parts
        names.append("_".join(parts) or "project")
    name = "_and_".join(names) + (f"_and_{len(folders) - 2}_more" if len(folders) > 2 else "")
    short = name.encode()[:180].decode(errors="ignore")
    plain, own = root / FOLDER / f"{short}.html", whose(folders, root)
    if not os.path.lexists(plain) or _is_report(plain, own):
        return plain
    return root / FOLDER / f"{short}-{own[:8]}.html"


def require_place(file: Path, typed: str, shown: Sequence[Path]) -> None:
    """Checks that a report can be written into a file, before anything is read.

    Args:
        typed: how it was typed, for messages.
        shown: folders that the report is about.

    Raises:
        RunError: no file is named, it is none of a report's or a record's, or its folder is not there or cannot be
            written.
    """
    where = f"--out {typed}"
    if not typed.strip():
        hint = f"name a file: --out look.html, or leave --out out ({FOLDER}/ takes it)"
        raise RunError("--out names no file", where="--out ''", hint=hint)
    if file.suffix.lower() not in SUFFIXES:
        raise RunError(f"a report is an HTML file, and {file.name} is not named like one", where, f"type {where}.html")
    if not file.parent.is_dir():
        raise RunError(f"there is no folder {file.parent}", where, "make it first, or name another file")
    within = record_around(file)
    if within or any(file.resolve().is_relative_to(folder.resolve()) for folder in shown):
        what = f"{within.name if within else file.parent.name} is a record, and a report is no part of it"
        raise RunError(what, where, f"leave --out out ({FOLDER}/ takes it), or name another file")
    if file.is_dir():
        raise RunError(f"{file.name} is a folder", where, "name a file in it")
    if not os.access(file.parent, os.W_OK):
        raise RunError(f"{file.parent} cannot be written", where, "change the rights of that folder, or name another")
    if os.path.lexists(file) and not _is_report(file):
        raise RunError(f"{file.name} is there already, and is no report", where, "name another file")


def of_run(run: FinishedRun, file: Path) -> Written:
    """Writes the report of a run, with as many of its completions as fit. Files that are damaged are named in it.

    Raises:
        RunError: the file cannot be written.
    """
    damage, terms = Damage(), list(run.lock["config"]["reward"]["terms"])
    steps = list(groups.measure(run.run_dir, len(terms), damage.of_completions))
    page = dataclasses.replace(one.gather(run, damage), whose=whose([run.run_dir], run.root))
    if not steps:
        return of_page(page, file)
    composed, room = one.composed(run), LIMIT - len(render(page))
    for _ in range(TRIES):
        found = rows.read(run.run_dir, composed, terms, groups.choose(steps, room))
        content = render(dataclasses.replace(page, rows=found))
        if len(content) <= LIMIT or not found.text:
            break
        room = int(room * LIMIT / len(content) * 0.97)
    _write(file, content)
    return Written(file, page.kind, len(content), len(found.text), found.total, found.how)


def of_page(page: Page, file: Path) -> Written:
    """Writes the report of what has no completions of its own.

    Raises:
        RunError: the file cannot be written.
    """
    content = render(page)
    _write(file, content)
    return Written(file, page.kind, len(content))


def _write(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as partial:
            partial.write_bytes(content)
    except OSError as error:
        if error.errno in FULL:
            raise
        what = f"{file.name} cannot be written: {error.strerror or error}"
        raise RunError(what, where=str(file), hint="type --out FILE.html with another place") from error


def _is_report(file: Path, of: str | None = None) -> bool:
    """Whether a file was written by us, and is of these folders (``whose``): only then is it written over.

    Args:
        of: None for a report of anything.
    """
    if file.is_symlink() or not file.is_file():
        return False
    wanted = (MARK if of is None else MARK + WHOSE.format(of)).encode()
    with file.open("rb") as stream:
        return stream.read(len(wanted)) == wanted
