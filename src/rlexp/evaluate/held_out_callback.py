"""Measures held-out rows while a run trains, and logs what they score."""

from __future__ import annotations

from typing import Any

from transformers import Trainer, TrainerCallback

from rlexp.compose.run import Run
from rlexp.evaluate.measure import HELD_OUT, measure
from rlexp.evaluate.transformers_sampler import TransformersSampler
from rlexp.reward.rubric import Rubric


class HeldOutCallback(TrainerCallback):
    """Measures the held-out rows every ``held_out.every`` steps, and logs their means as held_out/<term>, to the
    trackers too. The random state and the trainer's sums of its own metrics stay as they were."""

    def __init__(self, run: Run, trainer: Any, tokenizer: Any, rubric: Rubric, rows: Any) -> None:
        self.every = run.held_out.every
        self.trainer = trainer
        self.measure = lambda: measure(run, TransformersSampler(run, trainer.model, tokenizer), rubric, rows).means

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.every == 0:
            due = control.should_log  # logging clears it before the step's own entry is logged
            # Past TRL's own log(), which would hand out and clear what it has gathered for that entry.
            Trainer.log(self.trainer, {f"{HELD_OUT}{name}": mean for name, mean in self.measure().items()})
            control.should_log = due
