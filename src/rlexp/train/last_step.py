"""The trainer's callback that counts its steps for the record, and ends it with the step that ``ending`` asks for."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from rlexp.record.run_folder import Record
from rlexp.train.ending import Ending


class LastStep(TrainerCallback):
    """Counts the steps, and ends the training early, with a checkpoint.

    Add it behind the others, so that what came while they worked ends the same step.
    """

    def __init__(self, ending: Ending, record: Record) -> None:
        self.ending = ending
        self.record = record

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.ending.asked = state.max_steps
        self._count(state.global_step)
        self.record.write()  # a run that is killed says how many steps it was asked

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        self.ending.torn = True

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.ending.torn = False
        self._count(state.global_step + 1)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.ending.wanted:
            self.ending.stopped = True
            control.should_save = control.should_training_stop = True

    def _count(self, done: int) -> None:
        self.ending.done = done
        self.record.content["steps"] = {"done": done, "asked": self.ending.asked}
