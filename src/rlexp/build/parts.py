"""What a trainer is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlexp.build.engine import Engine
from rlexp.reward.rubric import Rubric


@dataclass(frozen=True)
class Parts:
    """The live objects and arguments of one trainer."""

    model: Any
    tokenizer: Any
    train: Any
    """``datasets.Dataset`` with the columns of the method's data-set type."""
    test: Any
    """Held-out rows in the same form, or None."""
    rubric: Rubric
    arguments: dict[str, Any]
    """Every argument of TRL's config class."""
    engine: Engine
    """What samples, where TRL's vLLM does."""
    off_policy_steps: int = 0
    """Updates by which sampling is ahead of training (``build.off_policy``)."""

    @property
    def common(self) -> dict[str, Any]:
        """The keyword arguments that all of TRL's trainers share."""
        return {
            "model": self.model,
            "processing_class": self.tokenizer,
            "train_dataset": self.train,
            "eval_dataset": self.test,
        }
