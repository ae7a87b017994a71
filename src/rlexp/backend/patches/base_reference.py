"""The reference model of a run is its base: the trained model with its adapter switched off.

The adapter of a run is fresh, so base and TRL's frozen copy of the adapter are the same model; TRL switches the adapter
off where there is no copy. Without it the reference costs no adapter's passes, Unsloth can fold the one that is left
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


def apply(model: Any) -> Outcome:
    """Drops TRL's frozen copy of the adapter from the model of a trainer that was built."""
    if COPY not in getattr(model, "peft_config", {}):
        return not_needed("TRL made no copy of the adapter")
    model.delete_adapter(COPY)
    return APPLIED
