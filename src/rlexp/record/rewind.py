"""Takes a run folder back to one of its checkpoints: what was written after it goes, so that nothing stands twice."""

from __future__ import annotations

import shutil
from pathlib import Path

from rlexp import files
from rlexp.errors import RunError
from rlexp.record import checkpoints, completions
from rlexp.record.checkpoints import Checkpoint
from rlexp.record.run_folder import COMPLETIONS, HEALTH, METRICS
from rlexp.reward.rubric import FAILURES
from rlexp.whole import CHECKPOINTS

GROWING = (METRICS, HEALTH, FAILURES)
"""The files that a training appends to; a checkpoint keeps how long each was."""
CLOSING = ("adapter", "model", "held_out.json", "health.md")
"""What an ending leaves: the training that goes on leaves its own."""


def lengths(run_dir: Path) -> dict[str, int]:
    """Bytes of each growing file; 0 of one that is not there."""
    return {name: (run_dir / name).stat().st_size if (run_dir / name).is_file() else 0 for name in GROWING}


def require_own(run_dir: Path) -> None:
    """Refuses a run folder with links where a training writes and removes: what they lead to is not the run's.

    Raises:
        RunError: there is one.
    """
    for name in (*GROWING, *CLOSING, CHECKPOINTS, COMPLETIONS):
        if (run_dir / name).is_symlink():
            raise RunError(
                f"{name} of the run folder is a link, and a training that goes on writes and removes there",
                where=str(run_dir / name),
                hint="put what it leads to in its place: cp -rL RUN COPY, and go on in the copy",
            )


def rewind(run_dir: Path, checkpoint: Checkpoint, kept: dict[str, int]) -> None:
    """Cuts the growing files to what they were, and removes later completions and checkpoints, and the closing files.

    Args:
        kept: ``lengths`` when the checkpoint was written.
    """
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
