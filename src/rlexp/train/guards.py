"""What stands around a run while it is built and trained: one process, a full disk, errors nobody foresaw."""

from __future__ import annotations

import contextlib
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

from rlexp import files
from rlexp.backend import ranks
from rlexp.compose import largest
from rlexp.errors import Failed, RunError
from rlexp.preflight import checks, facts
from rlexp.record import checkpoints
from rlexp.train.job import Job

LIBRARIES_LOG, TRACEBACK = "libraries.log", "traceback.txt"
LONGEST = 600
"""Characters of an error that are shown."""


def require_one_process(begins: bool = True) -> None:
    """Checks that no launcher started several processes: each would do the whole work, into one record.

    Args:
        begins: a run, which may be given devices.

    Raises:
        RunError: one did, or its variable is no number of processes.
    """
    started = os.environ.get("WORLD_SIZE") or "1"
    if ranks.current().count > 1:
        return
    if not re.fullmatch("[0-9]{1,9}", started) or not int(started):
        raise RunError(
            f"{started[:80]!r} is no number of processes",
            where="WORLD_SIZE, a variable of the environment that launchers set",
            hint="type unset WORLD_SIZE",
        )
    if int(started) > 1:
        typed = f"python -m rlexp hardware.devices={int(started)}" if begins else "the same"
        raise RunError(
            f"{int(started)} processes were started (WORLD_SIZE), and a run starts those of its devices itself",
            where="torchrun, accelerate launch or srun in front of python -m rlexp",
            hint=f"type {typed} without it (unset WORLD_SIZE where the shell holds it)",
        )


@contextlib.contextmanager
def unforeseen(job: Job) -> Iterator[None]:
    """Keeps the traceback of an error that nobody foresaw in the run folder, and says it in one message instead. Where
    the device's memory was used up, the message ends with what to type.

    Raises:
        Failed: such an error; those with words of their own go through.
    """
    run_dir = job.run_dir
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        files.write_text(run_dir / TRACEBACK, traceback.format_exc())
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        message = f"{type(error).__name__}{': ' if lines else ''}{' '.join(lines)[:LONGEST]}"
        last = traceback.extract_tb(error.__traceback__)[-1]
        hint = f"read {os.path.relpath(run_dir / TRACEBACK)}; {LIBRARIES_LOG} beside it holds the libraries' output"
        if memory_used_up(error):
            hint += f"; or type {' '.join(largest.smaller(job.run))}"
        raise Failed(
            f"the run failed: {message}",
            where=f"{os.path.join(*Path(last.filename).parts[-3:])}:{last.lineno}",
            hint=hint,
        ) from error


def memory_used_up(error: Exception) -> bool:
    """Says whether the device's memory was: torch's own error, or CUDA's words in another's."""
    return type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in str(error)


@contextlib.contextmanager
def room(job: Job) -> Iterator[None]:
    """Turns what a full disk does to a run into one message, and leaves the last whole checkpoint and no half one.

    Raises:
        RunError: the disk was full, or refused; the message says what the run takes.
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        fault = files.disk_fault(error)
        if fault is None or getattr(error, "errno", files.FULL[0]) not in files.FULL:
            raise
        gone = checkpoints.remove_broken(job.run_dir)
        kept = list(checkpoints.of(job.run_dir).values())[-1:]
        place = os.path.relpath(job.run_dir, job.root)
        needed = checks.written(job.run, job.root / job.run.model.path) if job.run.model.path else 0
        what = f"{fault.what} while the run wrote to {place}"
        what += f": it takes about {needed} bytes, {facts.free(job.run_dir)} are free" if needed else ""
        what += f"; {', '.join(gone)} was not whole and is gone" if gone else ""
        what += f"; {kept[0].name} is whole and stays" if kept else ""
        raise RunError(what, where=fault.where or place, hint=fault.hint) from error
