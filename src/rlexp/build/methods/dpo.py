"""DPO: pairs of a chosen and a rejected completion, against a reference model."""

from __future__ import annotations

from typing import Any

from rlexp.build import reference
from rlexp.build.parts import Parts
from rlexp.build.unsloth_model import patch_dpo


def trainer(parts: Parts) -> Any:
    """A ``trl.DPOTrainer`` of these parts; Unsloth is imported already."""
    patch_dpo()
    from trl import DPOConfig, DPOTrainer

    built = DPOTrainer(args=DPOConfig(**parts.arguments), **parts.common)
    reference.use_base(built.model)
    return built
