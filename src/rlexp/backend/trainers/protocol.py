"""What is used of TRL's trainers, public and private, as a type: the contract that a new version of TRL must keep."""

from __future__ import annotations

from typing import Any, Protocol


class Trainer(Protocol):
    """A trainer of TRL (``trl.trainer``, ``trl.experimental``), or what Unsloth made of one."""

    model: Any
    args: Any
    state: Any

    def train(self) -> Any:
        """``transformers.Trainer.train``."""

    def evaluate(self) -> dict[str, float]:
        """``transformers.Trainer.evaluate``."""

    def add_callback(self, callback: Any) -> None:
        """``transformers.Trainer.add_callback``."""

    def remove_callback(self, callback: Any) -> None:
        """``transformers.Trainer.remove_callback``."""
