"""A run with its model in memory: what the smoke and the training work on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rlexp.backend import ranks
from rlexp.backend.engine.engine import Engine
from rlexp.backend.prompts import prefill_of
from rlexp.compose.run import Run
from rlexp.inputs import mixture
from rlexp.inputs.find import Inputs
from rlexp.reward.pool.pool import Workers
from rlexp.reward.rubric import Rubric


@dataclass
class Loaded:
    """A run with its model in memory."""

    run: Run
    inputs: Inputs
    digest: dict[str, Any]
    """The hashes of the inputs (``hashes.inputs_digest``)."""
    workers: Workers
    model: Any
    tokenizer: Any
    rows: Any
    """The training rows, a ``datasets.Dataset`` with the columns that the rewards read."""
    read: tuple[str, ...]
    """These columns."""
    engine: Engine
    """TRL's vLLM, for every trainer of the run."""
    moment: datetime | None = None
    """What the chat template takes for now, where it writes it."""

    def rubric(self, run_dir: Path) -> Rubric:
        """A new rubric, its counters at 0, that notes failures in ``run_dir``."""
        begun = prefill_of(self.run, self.tokenizer, self.inputs, self.rows)
        source = mixture.SOURCE if self.run.dataset.parts else None
        return Rubric(self.run.reward, self.inputs.rewards, self.workers, run_dir, begun, source, ranks.current())
