"""The reference model of a run with a fresh adapter is its base: the trained model with its adapter switched off.

A fresh adapter (every ``lora_B`` is zero) adds nothing, so base and TRL's frozen copy of the adapter are the same
model; TRL switches the adapter off where there is no copy. Of an adapter that goes on (``model.start``) the copy is the
reference, and stays. Without it the reference costs no adapter's passes, Unsloth can fold the one that is left
into the weights that it samples with, and the next trainer finds the name free.

Source: ``model.add_adapter("ref", ...)`` in the constructors of TRL's trainers, ``trl.models.utils.use_adapter``.
"""

from __future__ import annotations

from typing import Any

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed

COPY = "ref"
"""The name under which TRL keeps a frozen copy of the adapter."""

PATCH = Patch(
    name="base_reference",
    target='the adapter "ref" that trl.DPOTrainer, KTOTrainer, GRPOTrainer and RLOOTrainer add to the model',
    reason="A fresh adapter changes nothing, so the base is the reference; the copy costs memory and passes, and a "
    "second trainer on the same model cannot add it again.",
    gain="not measured alone",
    upstream="https://github.com/huggingface/trl/pull/4723",
    made_for={"trl": "1.15"},
    expires="when TRL makes no copy of an adapter that is fresh",
    needed_for="two trainers on one model where the method has a reference (a smoke in front of the run)",
)


def apply(model: Any, used: bool = True) -> Outcome:
    """Drops TRL's frozen copy of an adapter that is fresh from the model of a trainer that was built.

    Args:
        used: the trainer compares with a reference; RLOO has a copy made without, too.
    """
    if COPY not in getattr(model, "peft_config", {}):
        return not_needed("TRL made no copy of the adapter")
    if used and not is_fresh(model):
        return not_needed("the adapter is not fresh: TRL's copy is the policy it begins with, the reference")
    model.delete_adapter(COPY)
    return APPLIED


def is_fresh(model: Any) -> bool:
    """Says whether the adapter adds nothing to its base: every ``lora_B`` is zero."""
    return not any(bool(weight.any()) for name, weight in model.named_parameters() if "lora_B" in name)
