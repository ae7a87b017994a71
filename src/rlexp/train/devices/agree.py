"""The trainer's callback by which the ranks of a run do the same: they end with one step, and hold equal weights."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from rlexp.errors import Failed
from rlexp.record.lock import trainable_sha256
from rlexp.reward.ranks import Ranks

EVERY = 10
"""Steps from one comparison of the weights to the next."""


class Agree(TrainerCallback):
    """Has every rank save and stop where one wants it (a signal, the time, a health rule), and compares the weights:
    every EVERY steps and at the end.

    Add it last, so that what the callbacks before it want is known.

    Args:
        ranks: of this run.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self._compare(model, state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self._agree(control)
        self.ranks.note(training=True)
        if state.global_step % EVERY == 0:
            self._compare(model, state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._agree(control)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.ranks.note()

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.ranks.note(training=False)
        self._compare(model, state.global_step)

    def _agree(self, control: Any) -> None:
        wanted = self.ranks.parts((control.should_training_stop, control.should_save))
        control.should_training_stop = any(stop for stop, _ in wanted)
        control.should_save = any(save for _, save in wanted)

    def _compare(self, model: Any, step: int) -> None:
        digests = self.ranks.parts(trainable_sha256(getattr(model, "module", model)))
        other = [number for number, digest in enumerate(digests) if digest != digests[0]]
        if other:
            raise Failed(
                f"the devices hold different weights at step {step}: those of rank {other[0]} are not those of rank 0",
                where="hardware.devices",
                hint="report this with libraries.log and run.lock.yaml; on one device: hardware.devices=1",
            )
