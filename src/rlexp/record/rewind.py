"""Takes a run folder back to one of its checkpoints: what was written after it goes, so that nothing stands twice."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from rlexp import files, shapes
from rlexp.chosen import SELECTION
from rlexp.errors import RunError
from rlexp.record import best_link, checkpoints, completions
from rlexp.record.checkpoints import Checkpoint
from rlexp.record.left import HELD_OUT
from rlexp.record.run_folder import CLEARED, COMPLETIONS, HEALTH, METRICS, TRACKING
from rlexp.reward.rubric import FAILURES
from rlexp.shapes import COUNT, NAME, SHA256, mapping, record
from rlexp.whole import CHECKPOINTS

GROWING = (METRICS, HEALTH, FAILURES, SELECTION)
"""The files that a training appends to; a checkpoint keeps how long each was."""
CLOSING = ("adapter", "model", HELD_OUT, "health.md")
"""What an ending leaves: the training that goes on leaves its own."""


RECORD = "run_so_far.json"
"""The file of a checkpoint that says what the run had written by then."""
GREW = record({"lengths": mapping(COUNT, NAME), "sha256": mapping(SHA256, NAME)})
"""What is read of it here."""


def lengths(run_dir: Path) -> dict[str, int]:
    """Bytes of each growing file; 0 of one that is not there."""
    return {name: (run_dir / name).stat().st_size if (run_dir / name).is_file() else 0 for name in GROWING}


def digests(run_dir: Path) -> dict[str, str]:
    """The hash of each growing file that is there."""
    there = [name for name in GROWING if (run_dir / name).is_file()]
    return {name: hashlib.sha256((run_dir / name).read_bytes()).hexdigest() for name in there}


def require_as_written(run_dir: Path, checkpoint: Checkpoint, shown: str) -> None:
    """Checks whether the growing files begin as they were when a checkpoint was written: behind that they are cut off.

    Args:
        shown: the run folder in messages.

    Raises:
        RunError: one was edited, cut or removed since then.
    """
    kept = shapes.read_json(checkpoint.folder / RECORD, GREW, "checkpoint") or {"lengths": {}, "sha256": {}}
    for name, digest in kept["sha256"].items():
        path = run_dir / name
        with path.open("rb") if path.is_file() else open(os.devnull, "rb") as stream:
            begins = stream.read(kept["lengths"].get(name, 0))
        if name in GROWING and hashlib.sha256(begins).hexdigest() != digest:
            raise RunError(
                f"{name} does not begin as it was written until step {checkpoint.step}: it was edited since then",
                where=str(path),
                hint=f"put it back as it was; or begin a new run from there: fork={shown}@{checkpoint.step}",
            )


def logged(checkpoint: Checkpoint) -> bool:
    """Says whether the run had written a log entry by a checkpoint.

    Raises:
        RunError: what the checkpoint holds of the record cannot be read.
    """
    kept = shapes.read_json(checkpoint.folder / RECORD, GREW, "checkpoint")
    return bool(kept and kept["lengths"].get(METRICS))


def require_own(run_dir: Path) -> None:
    """Refuses a run folder with links where a training writes and removes: what they lead to is not the run's.

    Raises:
        RunError: there is one.
    """
    for name in (*GROWING, *CLOSING, CHECKPOINTS, COMPLETIONS, TRACKING):
        if (run_dir / name).is_symlink():
            raise RunError(
                f"{name} of the run folder is a link, and a training that goes on writes and removes there",
                where=str(run_dir / name),
                hint="put what it leads to in its place: cp -rL RUN COPY, and go on in the copy",
            )


def rewind(run_dir: Path, checkpoint: Checkpoint, kept: dict[str, int]) -> None:
    """Cuts the growing files to what they were, and removes later completions and checkpoints, the closing files and
    the link to the best.

    Args:
        kept: ``lengths`` when the checkpoint was written.
    """
    best_link.remove(run_dir, copies=True)
    for name in GROWING:
        path = run_dir / name
        if not path.is_file() or path.stat().st_size <= kept.get(name, 0):
            continue
        if kept.get(name):
            with files.whole_file(path) as partial, path.open("rb") as stream:
                partial.write_bytes(stream.read(kept[name]))
        else:
            path.unlink()
    later = [step for step in completions.steps(run_dir) if step > checkpoint.step]
    halves = [*run_dir.glob(".*.partial"), *(run_dir / COMPLETIONS).glob(".*.partial")]
    halves += (run_dir / CHECKPOINTS).glob(f"{checkpoints.PARTIAL}*")
    for path in (*(run_dir / completions.name(step) for step in later), *halves, *(run_dir / n for n in CLOSING)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    checkpoints.keep(run_dir, {step for step in checkpoints.of(run_dir) if step <= checkpoint.step})


def clear(run_dir: Path) -> None:
    """Removes what an attempt left that kept no step; its manifest stays, which the next one takes over."""
    for name in CLEARED:
        path = run_dir / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
