"""ORPO: pairs as in DPO, without a reference model."""

from __future__ import annotations

from rlexp.backend.patches import orpo_tokens
from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.backend.trainers.protocol import Trainer


def trainer(inputs: TrainerInputs) -> Trainer:
    """A ``trl.experimental.orpo.ORPOTrainer`` of these inputs; Unsloth is imported already."""
    from trl.experimental.orpo import ORPOTrainer

    built = ORPOTrainer(args=inputs.config(), **inputs.common)
    inputs.engine.patches.apply(orpo_tokens, built)
    return built
