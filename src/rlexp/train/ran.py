"""What a command line ran: a run, or a sweep with its points."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rlexp.compare.sweep import SweepPoint
from rlexp.record.sweeps import Impossible


@dataclass
class Ran:
    """The folders of what a command line ran."""

    folder: Path
    """That of the run, or of the sweep."""
    points: list[SweepPoint] | None = None
    """Those of a sweep; None for a run alone, which finished."""
    impossible: list[Impossible] = field(default_factory=list)
    """Points of a sweep that were left out."""
    ended: str | None = None
    """What ended a sweep before all of its points were tried."""
    exit_code: int = 0
