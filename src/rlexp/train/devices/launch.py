"""Hands a run to one process a device, and says in one message how they ended. The record of rank 0 is the run's."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rlexp import command, secrets
from rlexp.backend import compile_cache, ranks
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.console import in_notebook
from rlexp.errors import Failed, Interrupted, RunError, one_line
from rlexp.nvidia import visible
from rlexp.record import claim, status
from rlexp.record.checkpoints import last_whole
from rlexp.record.run_folder import read_manifest, update_manifest
from rlexp.train.devices import tried
from rlexp.train.devices.group import Group, Rank, raised
from rlexp.train.devices.rank import Asked
from rlexp.train.guards import LIBRARIES_LOG, TRACEBACK
from rlexp.train.job import Job


def due(run: Run) -> bool:
    """Says whether this process is to hand the run to several, and is none of them."""
    return run.hardware.devices > 1 and ranks.current().count == 1


def require(run: Run) -> None:
    """Refuses several devices where they are not there, or a run on them was never tried.

    Raises:
        RunError: there are fewer GPUs, or processors; the way the run is trained was not tried on several GPUs; or the
            command is a notebook.
    """
    if run.hardware.devices == 1:
        return
    if run.hardware.device is Device.cuda:
        tried.require(run)
        _require(run, len(visible()), "GPU")
    else:
        _require(run, max(2, ranks.processors()), "processor")  # two on one show what several do
    if in_notebook():
        raise RunError(
            "a run over several devices prints from processes that a notebook does not hear",
            where="hardware.devices",
            hint="type hardware.devices=1 here, or the same overrides in a terminal: python -m rlexp",
        )


def _require(run: Run, found: int, what: str) -> None:
    asked = run.hardware.devices
    if 0 < found < asked:  # of none it is said elsewhere
        fitting = next(count for count in range(found, 0, -1) if run.geometry.sequences_per_step % count == 0)
        raise RunError(
            f"{asked} devices are asked for, and {found} {what}{' is' if found == 1 else 's are'} in sight",
            where="hardware.devices" + (", CUDA_VISIBLE_DEVICES" if what == "GPU" else ""),
            hint=f"type hardware.devices={fitting}: the optimisation problem stays the same",
        )


def run(work: Callable[[Job], None], job: Job) -> None:
    """Has the ranks do the work of a run, and waits for them.

    Args:
        work: what each of them does: ``session.train`` with its arguments.

    Raises:
        RunError: as the work; or a rank died, or stood still.
        Interrupted: a signal ended it.
    """
    require(job.run)
    job.require_beginning()
    count = job.run.hardware.devices
    given = dataclasses.replace(
        job, moment=job.moment or datetime.now().replace(microsecond=0), launcher=status.process(), warm=None
    )
    claimed = claim.take_over(job.run_dir)
    with tempfile.TemporaryDirectory(prefix="rlexp-ranks-") as scratch:
        # What the other ranks write by the way is nobody's: the record is that of rank 0.
        folders = [job.run_dir, *(Path(scratch) / str(number) for number in range(1, count))]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        cuda = job.run.hardware.device is Device.cuda
        # Unsloth's generated modules, which a process that ends at once cannot clear away itself.
        own = [{compile_cache.GENERATED: str(Path(scratch) / f"generated-{number}")} for number in range(count)]
        group = Group(
            [None, *(folder / LIBRARIES_LOG for folder in folders[1:])],
            visible()[:count] if cuda else (),
            own if cuda and not os.environ.get(compile_cache.GENERATED) else (),
        )
        asked = [
            Asked(
                number,
                count,
                Path(scratch) / "meeting",
                work,
                dataclasses.replace(given, run_dir=folder),
                claimed,
                command.began(),
                sys.argv,
                cuda,
            )
            for number, folder in enumerate(folders)
        ]
        try:
            group.run(asked)
        finally:
            secrets.learn(job.root)
            _add_logs(folders)
        if cause := group.cause():
            if cause.number and (folders[cause.number] / TRACEBACK).is_file():
                shutil.copyfile(folders[cause.number] / TRACEBACK, job.run_dir / TRACEBACK)
            raise _told(group, cause, job)


def _add_logs(folders: list[Path]) -> None:
    """Adds what the libraries of the other ranks said to that of rank 0."""
    with contextlib.suppress(OSError), (folders[0] / LIBRARIES_LOG).open("a") as log:
        for number, folder in enumerate(folders[1:], 1):
            if (said := folder / LIBRARIES_LOG).is_file():
                log.write(f"\n== rank {number} ==\n{secrets.masked(said.read_text(errors='replace'))}")


def _told(group: Group, cause: Rank, job: Job) -> BaseException:
    """The error of the run; where its record says another one, it is put right."""
    first = group.ranks[0].answer
    if group.signals:
        if first and isinstance(first.error, Interrupted):
            return raised(group.ranks[0])
        others = [rank for rank in group.order if rank.answer and isinstance(rank.answer.error, Interrupted)]
        stopped = raised(others[0]) if others else Interrupted(group.signals[0])
        assert isinstance(stopped, Interrupted)
        _put_right(job, "interrupted", stopped.reason)
        return _going_on(stopped, job)
    if cause.number == 0 and cause.answer:
        return raised(cause)
    read = f"read {os.path.relpath(job.run_dir / LIBRARIES_LOG)}, which holds the libraries' output of every rank"
    if cause.lost and "SIGKILL" in cause.lost:
        read += "; where memory ran out, type fewer hardware.devices or a smaller hardware.sequences_per_device"
    found: RunError | BaseException = raised(cause) if cause.answer else Failed(str(cause.lost))
    if isinstance(found, Interrupted):  # a signal to that rank alone
        found = Failed(f"rank {cause.number} was {found.reason}")
    if not isinstance(found, RunError):
        found = Failed(f"rank {cause.number}: {type(found).__name__}: {found}")
    if isinstance(found, Failed):
        what = found.what if f"rank {cause.number}" in found.what else f"rank {cause.number}: {found.what}"
        if (job.run_dir / TRACEBACK).is_file() and cause.answer:
            read = f"read {os.path.relpath(job.run_dir / TRACEBACK)}; {LIBRARIES_LOG} beside it is that of every rank"
        where = found.where or f"hardware.devices={job.run.hardware.devices}"
        found = Failed(f"{what}; the run was ended on every device", where, read)
    _put_right(job, "failed", one_line(found.what))
    return _going_on(found, job)


def _put_right(job: Job, ended: str, reason: str) -> None:
    """Has the manifest say what ended the run: rank 0 knows only that it lost another, or nothing any more."""
    last = {"status": ended, "reason": reason, "ended": datetime.now(UTC).isoformat(timespec="seconds")}
    made = (read_manifest(job.run_dir) or {}).get("attempts", [])
    attempts = {"attempts": [*made[:-1], {**made[-1], **last}]} if made else {}
    with contextlib.suppress(OSError):
        update_manifest(job.run_dir, **last, **attempts)


def _going_on(error: BaseException, job: Job) -> BaseException:
    found: RunError | Interrupted = error  # type: ignore[assignment]
    found.run_dir = job.run_dir
    if isinstance(found, Interrupted) or last_whole(job.run_dir)[0]:
        found.go_on = job.resume_line()
    return found
