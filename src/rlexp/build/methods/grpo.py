"""GRPO: completions are sampled while training and compared within the group of a prompt."""

from __future__ import annotations

from typing import Any

from rlexp.build import reference, rollout
from rlexp.build.parts import Parts


def trainer(parts: Parts) -> Any:
    """A ``trl.GRPOTrainer`` of these parts; the loader's libraries are imported already."""
    from trl import GRPOConfig, GRPOTrainer

    rewards: list[Any] = parts.rubric.functions(group_size=parts.arguments["num_generations"])
    with parts.engine.given():
        made = GRPOTrainer(args=GRPOConfig(**parts.arguments), reward_funcs=rewards, **parts.common)
    reference.use_base(made.model)
    rollout.prepare(made, parts.engine, parts.off_policy_steps)
    return made
