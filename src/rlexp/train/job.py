"""One run that is to be made."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rlexp.backend.warm import Warm
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.record import go_on
from rlexp.record.checkpoints import Checkpoint, require, require_devices
from rlexp.record.lock import read_lock
from rlexp.record.rewind import require_own
from rlexp.record.run_folder import LOCK
from rlexp.train.other_devices import devices_of


@dataclass(frozen=True)
class Job:
    """A run, its project, its folder, and what was typed for it."""

    run: Run
    root: Path
    """The project folder."""
    run_dir: Path
    """The run folder; made if it is missing."""
    overrides: list[str]
    """The overrides as typed, for the record."""
    moment: datetime | None = None
    """What chat templates take for now; None for when it starts. A replay gives that of the lock."""
    resume: Checkpoint | None = None
    """The checkpoint of this folder that its training goes on from; None for a run that begins."""
    fork: Checkpoint | None = None
    """The checkpoint of another run that this run goes on from in a folder of its own."""
    warm: Warm | None = None
    """What the worker of a sweep keeps from one point to the next; None elsewhere."""

    launcher: dict[str, Any] | None = None
    """The process that the record names where it is not this one (``status.process``): that which started the ranks."""

    def resume_line(self, *more: str) -> str:
        """The command line with which this run goes on as it is: on its devices, where the lock says others.

        Args:
            more: overrides.
        """
        devices, typed = self.run.hardware.devices, list(more)
        with contextlib.suppress(RunError):  # of a damaged lock more is said when it goes on
            if self.resume and devices_of(read_lock(self.resume.folder.parents[1] / LOCK)) != devices:
                typed.append(f"hardware.devices={devices}")
        return go_on.resume_line(self.run_dir, self.root, *typed)

    def require_beginning(self) -> None:
        """Checks what the training goes on from, before anything of it is loaded and anything is changed.

        Raises:
            RunError: the checkpoint is not whole, these devices cannot go on from it, or the folder leads elsewhere.
        """
        if self.resume:
            require_own(self.run_dir)
            require_devices(self.resume, self.run.hardware.devices, self.run.arguments.get("num_iterations", 1))
        if begun := self.resume or self.fork:
            require(begun)
