"""ORPO: pairs as in DPO, without a reference model."""

from __future__ import annotations

from typing import Any

from rlexp.build.parts import Parts


def trainer(parts: Parts) -> Any:
    """A ``trl.experimental.orpo.ORPOTrainer`` of these parts; Unsloth is imported already."""
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    return ORPOTrainer(args=ORPOConfig(**parts.arguments), **parts.common)
