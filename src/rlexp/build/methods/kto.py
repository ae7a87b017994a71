"""KTO: single completions judged good or bad, against a reference model."""

from __future__ import annotations

from typing import Any

from rlexp.build import reference
from rlexp.build.parts import Parts
from rlexp.build.unsloth_model import patch_dpo


def trainer(parts: Parts) -> Any:
    """A ``trl.KTOTrainer`` of these parts; Unsloth is imported already."""
    patch_dpo()
    from trl import KTOConfig, KTOTrainer

    built = KTOTrainer(args=KTOConfig(**parts.arguments), **parts.common)
    reference.use_base(built.model)
    return built
