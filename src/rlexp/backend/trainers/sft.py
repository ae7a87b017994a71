"""SFT: completions to imitate."""

from __future__ import annotations

from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.backend.trainers.protocol import Trainer


def trainer(inputs: TrainerInputs) -> Trainer:
    """A ``trl.SFTTrainer`` of these inputs; Unsloth is imported already."""
    from trl import SFTTrainer

    return SFTTrainer(args=inputs.config(), **inputs.common)
