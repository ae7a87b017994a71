"""KTO: single completions judged good or bad, against a reference model."""

from __future__ import annotations

from rlexp.backend.load_unsloth import patch_dpo
from rlexp.backend.patches import base_reference
from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.backend.trainers.protocol import Trainer


def trainer(inputs: TrainerInputs) -> Trainer:
    """A ``trl.KTOTrainer`` of these inputs; Unsloth is imported already."""
    patch_dpo()
    from trl import KTOTrainer

    built = KTOTrainer(args=inputs.config(), **inputs.common)
    inputs.engine.patches.apply(base_reference, built.model)
    return built
