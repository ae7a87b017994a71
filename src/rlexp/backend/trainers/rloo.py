"""RLOO: completions are sampled while training, each compared with the mean of the others of its prompt."""

from __future__ import annotations

from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.backend.trainers.online import online_trainer
from rlexp.backend.trainers.protocol import OnlineTrainer


def trainer(inputs: TrainerInputs) -> OnlineTrainer:
    """A ``trl.RLOOTrainer`` of these inputs; the loader's libraries are imported already."""
    from trl import RLOOTrainer

    return online_trainer(inputs, RLOOTrainer)
