"""The facts of a smoke, read from what its steps left."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.schema import Combine
from rlexp.record.run_folder import COMPLETIONS, METRICS


@dataclass(frozen=True)
class SmokeStep:
    """One optimizer step of the smoke."""

    logs: dict[str, float]
    """The values that the trainer logged; numbers only."""
    rewards: list[float | None] = field(default_factory=list)
    """The combined reward of each completion; None where no term applies. Empty where the step sampled nothing."""
    terms: dict[str, list[float | None]] = field(default_factory=dict)
    """The score of each completion by each term, before weights."""
    groups: int = 0
    """Prompts that completions were sampled for."""
    unequal: int = 0
    """Groups whose completions differ in reward."""
    empty: int = 0
    """Completions without text."""
    forced: bool = False
    """Its completions were driven to their full length, so that their rewards say nothing."""


@dataclass(frozen=True)
class SmokeFacts:
    """The facts of a smoke."""

    steps: list[SmokeStep]
    online: bool
    """True where completions were sampled."""
    moved: float
    """Largest absolute change of a trained weight."""
    finite: bool
    """True where every trained weight is a number."""
    full_length: int | None
    """Tokens a completion may have; None where none are sampled."""
    full: bool
    """True where a step met completions of that length."""
    learning_rate: float
    num_generations: int

    @property
    def sampled(self) -> list[SmokeStep]:
        """The steps whose completions the model ended as it liked."""
        return [step for step in self.steps if step.groups and not step.forced]

    @property
    def rewards(self) -> list[float]:
        """The rewards of these steps, where a term applied."""
        return [reward for step in self.sampled for reward in step.rewards if reward is not None]


def read_facts(run: Run, smoke_dir: Path, most: float, finite: bool, forced: int) -> SmokeFacts:
    """The facts of a smoke, read from what its steps left in ``smoke_dir``.

    Args:
        most: largest change of a trained weight.
        finite: whether the weights are numbers.
        forced: number of the step whose completions were driven to full length.
    """
    import pyarrow.parquet as pq

    lines = [json.loads(line) for line in (smoke_dir / METRICS).read_text().splitlines()]
    logged = {line["step"]: line for line in lines if "loss" in line}
    found = []
    for number, line in sorted(logged.items()):
        file = smoke_dir / COMPLETIONS / f"step-{number:06d}.parquet"
        columns = pq.read_table(file).to_pydict() if file.is_file() else {}
        found.append(_step(run, line, columns, number == forced))
    limit = run.arguments["max_completion_length"] if run.method.online else None
    return SmokeFacts(
        steps=found,
        online=run.method.online,
        moved=most,
        finite=finite,
        full_length=limit,
        full=limit is not None and any(step.logs.get("completions/min_length", 0) >= limit for step in found),
        learning_rate=run.arguments["learning_rate"],
        num_generations=run.num_generations,
    )


def _step(run: Run, line: dict[str, Any], columns: dict[str, list[Any]], forced: bool) -> SmokeStep:
    logs = {key: float(value) for key, value in line.items() if isinstance(value, int | float) and key != "step"}
    if not columns:
        return SmokeStep(logs)
    # Standardised terms each have an advantage of their own; else only their combination has.
    watched = [*run.reward.terms] if run.reward.combine is Combine.normalize else ["reward"]
    groups: dict[int, list[tuple[Any, ...]]] = {}
    for number, *scores in zip(columns["group"], *(columns[name] for name in watched), strict=True):
        groups.setdefault(number, []).append(tuple(scores))
    return SmokeStep(
        logs,
        rewards=columns["reward"],
        terms={name: columns[name] for name in run.reward.terms if name in columns},
        groups=len(groups),
        unequal=sum(len(set(group)) > 1 for group in groups.values()),
        empty=sum(not text.strip() for text in columns["completion"]),
        forced=forced,
    )


def step_seconds(took: list[float], iterations: int) -> float:
    """The median of what a step took, without the first generation's; where several steps share a generation, their
    mean is taken first."""
    shared = [took[n : n + iterations] for n in range(iterations, len(took), iterations)] or [took]
    return statistics.median(map(statistics.fmean, shared))
