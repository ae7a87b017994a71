"""The live objects and arguments that a trainer is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlexp.backend.engine.engine import Engine
from rlexp.backend.trainers.arguments import config
from rlexp.compose.run import Run
from rlexp.reward.rubric import Rubric


@dataclass(frozen=True)
class TrainerInputs:
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
    """TRL's vLLM, where it samples, and the patches of the run."""
    run: Run

    def config(self) -> Any:
        """TRL's config object of the arguments.

        Raises:
            RunError: TRL refuses them.
        """
        return config(self.run.method, self.arguments)

    @property
    def common(self) -> dict[str, Any]:
        """The keyword arguments that all of TRL's trainers share."""
        return {
            "model": self.model,
            "processing_class": self.tokenizer,
            "train_dataset": self.train,
            "eval_dataset": self.test,
        }
