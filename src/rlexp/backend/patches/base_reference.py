"""The reference model of a run: its base, which is the trained model with its adapter switched off."""

from __future__ import annotations

from typing import Any

COPY = "ref"
"""The name under which TRL keeps a frozen copy of the adapter where beta > 0."""


def use_base(model: Any) -> None:
    """Drops TRL's frozen copy of the adapter from the model of a trainer that was built.

    The adapter of a run is fresh, so base and copy are the same model; TRL switches the adapter off where there is no
    copy. Without it the reference costs no adapter's passes, Unsloth can fold the one that is left into the weights it
    samples with, and the next trainer finds the name free.
    """
    if COPY in getattr(model, "peft_config", {}):
        model.delete_adapter(COPY)
