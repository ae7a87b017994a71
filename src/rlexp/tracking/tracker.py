"""What every tracker does, and which there are: a module each, which imports its library when it begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

NAMES = ("wandb", "trackio", "tensorboard")
"""The trackers of rlexp; other names of ``tracking.report_to`` are integrations of transformers (mlflow)."""


@dataclass(frozen=True)
class Told:
    """What a tracker is told of a run before its first step."""

    run_dir: Path
    root: Path
    """The project folder."""
    project: str
    """Of the tracker (``tracking.project``)."""
    name: str
    """Of the tracker's run; no other run has it."""
    id: str
    """The same where a tracker takes ids."""
    group: str | None
    """The sweep of a point; None for a run alone."""
    config: dict[str, Any]
    """The composed config as it was locked, and beside it identity, inputs with their versions, lineage and more."""
    again: int | None = None
    """The step that the run goes on from; None where it begins."""


@dataclass(frozen=True)
class Table:
    """Rows of a record; no cell is shortened."""

    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True)
class Event:
    """Something that the health rules said."""

    step: int
    title: str
    text: str
    stops: bool
    """It ended the run."""


@dataclass(frozen=True)
class Ended:
    """How a run ended, as its manifest says it."""

    status: str
    """finished, stopped (by its health), failed, interrupted or killed."""
    reason: str
    step: int
    """The last that was trained."""
    summary: dict[str, float] = field(default_factory=dict)
    """The held-out numbers."""
    tables: dict[str, Table] = field(default_factory=dict)


class Tracker(Protocol):
    """One run of a tracker. What it raises ends its process, and nothing else."""

    @property
    def place(self) -> str:
        """Where a person finds it: a URL or a folder."""

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Takes the numbers of an entry of ``metrics.jsonl``."""

    def table(self, name: str, step: int, table: Table) -> None:
        """Takes a table, such as the completions of a step."""

    def event(self, event: Event) -> None:
        """Takes what the health rules said."""

    def end(self, ended: Ended) -> None:
        """Takes how the run ended, and ends the tracker's run so; returns once everything is kept."""


def begin(name: str, told: Told) -> Tracker:
    """Begins the run of a tracker, or goes on with it (``told.again``).

    Args:
        name: one of NAMES.
    """
    if name == "wandb":
        from rlexp.tracking.with_wandb import Wandb

        return Wandb(told)
    if name == "trackio":
        from rlexp.tracking.with_trackio import Trackio

        return Trackio(told)
    from rlexp.tracking.with_tensorboard import TensorBoard

    return TensorBoard(told)
