"""SFT: completions to imitate."""

from __future__ import annotations

from typing import Any

from rlexp.backend.trainers.inputs import TrainerInputs


def trainer(inputs: TrainerInputs) -> Any:
    """A ``trl.SFTTrainer`` of these inputs; Unsloth is imported already."""
    from trl import SFTConfig, SFTTrainer

    return SFTTrainer(args=SFTConfig(**inputs.arguments), **inputs.common)
