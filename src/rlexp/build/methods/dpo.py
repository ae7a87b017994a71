"""DPO: pairs of a chosen and a rejected completion, against a reference model."""

from __future__ import annotations

from typing import Any

from rlexp.build.parts import Parts
from rlexp.build.unsloth_model import patch_dpo


def trainer(parts: Parts) -> Any:
    """A ``trl.DPOTrainer`` of these parts; Unsloth is imported already."""
    patch_dpo()
    from trl import DPOConfig, DPOTrainer

    built = DPOTrainer(args=DPOConfig(**parts.arguments), **parts.common)
    _refer_to_the_base(built.model)
    return built


def _refer_to_the_base(model: Any) -> None:
    """Drops TRL's frozen copy of the adapter, so that the reference is the model with its adapter switched off.

    The adapter of a run is fresh, so both are the same model; without the copy the reference costs no adapter's passes.
    """
    if "ref" in getattr(model, "peft_config", {}):
        model.delete_adapter("ref")
