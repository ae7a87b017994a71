"""The parts that trainers of online methods share: reward functions, vLLM, and the patches of sampling and its
passes."""

from __future__ import annotations

from typing import Any

from rlexp.backend.patches import base_reference, prepare_sampling
from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.backend.trainers.protocol import OnlineTrainer


def online_trainer(inputs: TrainerInputs, trainer_class: Any) -> OnlineTrainer:
    """A trainer that samples while it trains, of these inputs; the loader's libraries are imported already."""
    rewards: list[Any] = inputs.rubric.functions(inputs.run.num_generations)
    with inputs.engine.given():
        trainer = trainer_class(args=inputs.config(), reward_funcs=rewards, **inputs.common)
    inputs.engine.adopt(getattr(trainer, "vllm_generation", None))
    inputs.engine.patches.apply(base_reference, trainer.model, bool(inputs.run.arguments.get("beta")))
    prepare_sampling(trainer, inputs.engine, inputs.run.off_policy_steps)
    return trainer
