"""What ``plan`` says of ``resume=`` and ``fork=``: from where it would go on, and what differs."""

from __future__ import annotations

from pathlib import Path

from rlexp.compare.differences import differences, lines
from rlexp.compose.points import CommandLine
from rlexp.errors import RunError, printable
from rlexp.record import go_on, status
from rlexp.record.checkpoints import last_whole
from rlexp.record.run_folder import read_manifest
from rlexp.train import resume
from rlexp.train.forked import Forked
from rlexp.train.resume import Resumption

Rows = list[tuple[str, str]]
RESUMES = "goes on"


def settle(line: CommandLine, here: Path) -> tuple[CommandLine, Rows]:
    """The command line that composes what would be trained, and the rows on its beginning; none of a run that begins
    anew.

    Raises:
        RunError: the run that is named cannot go on.
    """
    if resume.asked(line):
        found = resume.planned(line, here)
        if found is None:
            return resume.without(line), [("resume", "auto: no unfinished run is the same: a new one begins")]
        return found.line, _resumed(found)
    return line, _forked(line) if isinstance(line.over, Forked) else []


def resumes(rows: Rows) -> bool:
    """Says whether a run goes on in its own folder, which then need not be new."""
    return any(name == RESUMES for name, _ in rows)


def _resumed(found: Resumption) -> Rows:
    manifest = read_manifest(found.run_dir) or {}
    done = f" of {steps['asked']}" if (steps := manifest.get("steps")) and steps["asked"] else ""
    begin = f"from step {found.checkpoint.step}{done}" if found.checkpoint else "from its beginning: no step was kept"
    notes = list(found.notes)
    if found.original:
        try:
            notes += found.original.inputs(found.point.run, make=False)[1]
        except RunError as error:
            named = [text.split()[0] for text in error.what.splitlines()[1:] if text.strip()]
            notes.append(f"{', '.join(named) or error.what}: restored as locked, or refused, when it starts")
    rows = [(RESUMES, f"{found.shown} {begin}"), ("was", status.sentence(manifest))]
    return [*rows, *(("note", printable(note)) for note in notes)]


def _forked(line: CommandLine) -> Rows:
    assert isinstance(line.over, Forked)
    (fork,) = (one for one in line.overrides if go_on.key_of(one) == go_on.FORK)
    place = go_on.texts(fork.partition("=")[2])[0]
    continued = line.over.continued
    rows = [("begins", f"from the checkpoint of step {line.over.checkpoint.step} of {go_on.split(place)[0]}")]
    skipped = last_whole(line.root / go_on.split(place)[0])[1]
    made = line.points()[0].run.config() if not line.sweeps else continued.config
    changed = {key: pair for key, pair in differences(continued.config, made).items() if not key.startswith("fork")}
    rows += [("differs", text) for text in lines(changed)]
    rows += [("note", f"{name} is skipped: {why}") for name, why in skipped.items()]
    return rows + ([("note", printable(continued.note))] if continued.note else [])
