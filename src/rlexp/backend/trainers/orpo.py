"""ORPO: pairs as in DPO, without a reference model."""

from __future__ import annotations

from typing import Any

from rlexp.backend.trainers.inputs import TrainerInputs


def trainer(inputs: TrainerInputs) -> Any:
    """A ``trl.experimental.orpo.ORPOTrainer`` of these inputs; Unsloth is imported already."""
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    return ORPOTrainer(args=ORPOConfig(**inputs.arguments), **inputs.common)
