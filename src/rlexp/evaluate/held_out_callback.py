"""Measures held-out rows while a run trains, logs what they score, and has the checkpoints saved that may be chosen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from transformers import Trainer, TrainerCallback

from rlexp.evaluate.measure import HELD_OUT, Measured


class HeldOutCallback(TrainerCallback):
    """Measures before the first step and every ``every`` steps, and logs the means of the latter as held_out/<name>, to
    the trackers too. The random state and the trainer's sums of its own metrics stay as they were.

    Args:
        measure: measures the weights as they are, without a trace in training.
        note: is told the step, what was measured and the seconds it took; says whether the step is to be saved.
        begins: no step of this run was trained before.
    """

    def __init__(
        self,
        every: int,
        trainer: Any,
        measure: Callable[[], Measured],
        note: Callable[[int, Measured, float], bool],
        begins: bool = True,
    ) -> None:
        self.every = every
        self.trainer = trainer
        self.measure = measure
        self.note = note
        self.begins = begins

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.begins:
            self._measured(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.every == 0:
            means, wanted = self._measured(state.global_step)
            due = control.should_log  # logging clears it before the step's own entry is logged
            # Past TRL's own log(), which would hand out and clear what it has gathered for that entry.
            Trainer.log(self.trainer, {f"{HELD_OUT}{name}": mean for name, mean in means.items()})
            control.should_log = due
            control.should_save = control.should_save or wanted

    def _measured(self, step: int) -> tuple[dict[str, float], bool]:
        """(the means, whether the step is to be saved)."""
        began = time.perf_counter()
        found = self.measure()
        return found.means, self.note(step, found, time.perf_counter() - began)
