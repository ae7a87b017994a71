"""One small module for each method; the dict is the whole registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlexp.backend import installed
from rlexp.backend.trainers import dpo, grpo, kto, orpo, rloo, sft
from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.backend.trainers.protocol import Trainer

TRAINERS: dict[str, Callable[[TrainerInputs], Trainer]] = {
    "grpo": grpo.trainer,
    "rloo": rloo.trainer,
    "dpo": dpo.trainer,
    "orpo": orpo.trainer,
    "kto": kto.trainer,
    "sft": sft.trainer,
}


def build(inputs: TrainerInputs) -> Trainer:
    """TRL's trainer of the run's method; the libraries of its loader are imported already (``model``)."""
    with installed.trackers_hidden():  # TRL imports the trainer only now, where nothing rewrote it
        trainer: Any = TRAINERS[inputs.run.method.name](inputs)
    trainer.create_model_card = lambda *_, **__: None  # a draft, above every checkpoint; it asks for wandb
    return trainer
