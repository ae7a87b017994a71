"""A run that goes on with another number of devices than began it: how far it agrees with the run that nobody stopped.

Every device holds the same weights and the same state of the optimizer, so that one copy is enough for any number. Not
so the random states: each process has its own, and they begin anew, from the run's seed, the step and the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.record import checkpoints, locked_config, rewind
from rlexp.record.checkpoints import Checkpoint
from rlexp.record.run_folder import LOCK


@dataclass(frozen=True)
class OtherDevices:
    """What is the same, and what is not."""

    began: int
    """Devices of the lock."""
    wrote: int
    """Devices that wrote the checkpoint."""
    now: int
    step: int
    """The checkpoint's."""
    level: str
    """Of ``compare.agreement.LEVELS``: how far a comparison of the whole run would say that it agrees."""
    equal_draw: bool
    """Every further number is that of the run that nobody stopped, but for rounding: nothing is drawn otherwise."""
    online: bool = True
    """The method samples completions."""

    def __str__(self) -> str:
        before = (
            f"{_devices(self.wrote)} wrote the checkpoint of step {self.step}, and {self.now} go on"
            if self.wrote != self.now
            else f"{_devices(self.began)} began the run, and {self.now} go on"
        )
        rewards = ", the order of rewards" if self.online else ""
        same = f"weights and optimizer of step {self.step}, the rows of each step{rewards}"
        if self.equal_draw:
            tokens = "completions are the same tokens and " if self.online else ""
            other = f"from there {tokens}weights the same numbers, but for rounding: sums are taken in another order"
        else:
            drawn = "the completions from there are" if self.online else "the dropout from there is"
            hint = ", which rollout.seed_rows=true from the beginning would not have" if self.online else ""
            other = f"random states begin anew, so that {drawn} another draw{hint}"
        return f"{before}: level {self.level}, no trajectory; the same: {same}; {other}"

    def to_json(self) -> dict[str, Any]:
        """For the attempt in the manifest."""
        return {
            "devices": self.now,
            "checkpoint_devices": self.wrote,
            "level": self.level,
            "equal_draw": self.equal_draw,
            "agrees": str(self),
        }


def found(
    lock: dict[str, Any], run: Run, root: Path, checkpoint: Checkpoint, attempts: list[dict[str, Any]]
) -> OtherDevices | None:
    """How far a run that goes on agrees; None where all of it had as many devices.

    Args:
        lock: its content: how the run began.
        run: as it goes on.
        root: the project folder.
        attempts: the earlier ones: what one of them drew otherwise stays so.

    Raises:
        RunError: the lock's config is no run of this version, or the checkpoint cannot be read.
    """
    then, now = devices_of(lock), run.hardware.devices
    wrote = checkpoints.devices(checkpoint) or now
    if then == wrote == now:
        return None
    began = locked_config.run_of(lock["config"], root, LOCK)
    level = "step" if rewind.logged(checkpoint) else "inputs"
    equal = all(one.get("equal_draw", True) for one in attempts) and _seeded(began) and _seeded(run)
    return OtherDevices(then, wrote, now, checkpoint.step, level, equal, run.method.online)


def devices_of(lock: dict[str, Any]) -> int:
    """The devices that a lock's run began with."""
    return int(lock["config"]["hardware"].get("devices", 1))


def _seeded(run: Run) -> bool:
    """Says whether what is drawn while training depends on no random state of a process."""
    dropped = bool(run.model.lora.lora_dropout) and not run.model.full_finetuning
    seeded = run.rollout.seed_rows if run.rollout.seed_rows is not None else run.hardware.devices > 1
    return not dropped and (not run.method.online or run.rollout.vllm or seeded)


def _devices(count: int) -> str:
    return f"{count} device{'' if count == 1 else 's'}"
