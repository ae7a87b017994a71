"""GRPO: completions are sampled while training and compared within the group of a prompt."""

from __future__ import annotations

from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.backend.trainers.online import online_trainer
from rlexp.backend.trainers.protocol import OnlineTrainer


def trainer(inputs: TrainerInputs) -> OnlineTrainer:
    """A ``trl.GRPOTrainer`` of these inputs; the loader's libraries are imported already."""
    from trl import GRPOTrainer

    return online_trainer(inputs, GRPOTrainer)
