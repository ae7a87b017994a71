"""Unsloth compares packed sequences with single ones at their first pass only.

It does so again whenever a longer row comes, which takes a forward pass for every sequence. Where positions are rotated
alike at every length, a longer row can show nothing new.

Source: ``unsloth_zoo.rl_replacements.grpo_accumulated_loss``, unsloth/models/rl_replacements.py.
"""

from __future__ import annotations

from typing import Any

from rlexp.backend.patches.micro_batches import rotary
from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed

ANY_LENGTH = 1 << 40
CHECKED = ("grad", "nograd")
"""The passes that Unsloth checks: those of the training, and those of old and reference log-probabilities."""
MEASURES = ("T", "seg")
"""The tokens of a row, and those of its longest sequence."""

PATCH = Patch(
    name="packed_check",
    target="model._unsloth_seq_packing_{grad,nograd}_verified_{T,seg}",
    reason="Unsloth repeats its comparison of packed with single sequences for every longer row.",
    gain="not measured alone",
    upstream="https://github.com/unslothai/unsloth/pull/6738",
    made_for={"unsloth": "2026.10"},
    expires="when Unsloth checks a model with plain rotary positions once",
)


def apply(model: Any) -> Outcome:
    """Tells Unsloth that rows of any length were compared already."""
    if not rotary(model.config):
        return not_needed("positions are rotated otherwise in longer rows")
    for passes in CHECKED:
        for measure in MEASURES:
            setattr(model, f"_unsloth_seq_packing_{passes}_verified_{measure}", ANY_LENGTH)
    return APPLIED
