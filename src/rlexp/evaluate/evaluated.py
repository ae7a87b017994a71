"""The trainer's own evaluation of the held-out rows: margins, accuracies, loss; of a mixture those of each part too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlexp.reward.rubric import source_name

KEPT = ("loss", "rewards/margins", "rewards/accuracies", "mean_token_accuracy")
"""The metrics that are kept, as TRL calls them behind ``eval_``."""


def metrics(trainer: Any, sources: Sequence[str] | None) -> dict[str, float]:
    """The evaluation of all held-out rows, and of those of each part of a mixture as ``source/PART/NAME``.

    Args:
        sources: the part of each held-out row, in their order; None of one data set.
    """
    found = kept(trainer.evaluate())
    # The trainer's rows are these as it reads them. Where it dropped some, nothing says which of them are left.
    if not sources or len(trainer.eval_dataset) != len(sources):
        return found
    for part in sorted(set(sources)):
        own = trainer.eval_dataset.select([number for number, source in enumerate(sources) if source == part])
        found |= {source_name(part, name): value for name, value in kept(trainer.evaluate(own)).items()}
    return found


def kept(logged: dict[str, float]) -> dict[str, float]:
    """The evaluation metrics without their prefix, timings and counts."""
    return {name: logged[f"eval_{name}"] for name in KEPT if f"eval_{name}" in logged}
