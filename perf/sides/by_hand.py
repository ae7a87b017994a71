"""What the hand-written sides share: the trainer of the job's method, its rows and its reward, read from the same files
as rlexp reads."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any


def classes(method: str) -> tuple[Any, Any]:
    """TRL's trainer and config of a method."""
    if method == "grpo":
        from trl import GRPOConfig, GRPOTrainer

        return GRPOTrainer, GRPOConfig
    if method == "dpo":
        from trl import DPOConfig, DPOTrainer

        return DPOTrainer, DPOConfig
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    return ORPOTrainer, ORPOConfig


def learnt_from(method: str, project: Path) -> dict[str, Any]:
    """The trainer's arguments that say what it learns from: rows, and for GRPO the reward."""
    if method == "grpo":
        return {"train_dataset": rows(project), "reward_funcs": reward(project)}
    return {"train_dataset": pairs(project)}


def rows(project: Path) -> Any:
    """The training rows of GRPO."""
    from datasets import Dataset

    return Dataset.from_parquet(str(project / "data/arithmetic/train.parquet")).select_columns(["prompt"])


def pairs(project: Path) -> Any:
    """The training rows of DPO and ORPO."""
    from datasets import Dataset

    return Dataset.from_parquet(str(project / "data/digit_pairs/train.parquet"))


def reward(project: Path) -> Callable[..., list[float]]:
    """The benchmark's reward as TRL calls it."""
    spec = importlib.util.spec_from_file_location("spread", project / "rewards/spread.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def spread(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return module.score(completion_ids)

    return spread
