"""What the hand-written sides share: the rows and the reward, read from the same files as rlexp reads."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any


def rows(project: Path) -> Any:
    """The training rows."""
    from datasets import Dataset

    return Dataset.from_parquet(str(project / "data/arithmetic/train.parquet")).select_columns(["prompt"])


def reward(project: Path) -> Callable[..., list[float]]:
    """The benchmark's reward as TRL calls it."""
    spec = importlib.util.spec_from_file_location("spread", project / "rewards/spread.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def spread(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return module.score(completion_ids)

    return spread
