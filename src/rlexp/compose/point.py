"""A point of a sweep, or the one run that was typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rlexp.compose.run import Run


@dataclass(frozen=True)
class Point:
    """One run, the overrides that make it, and the folder that it will get."""

    overrides: list[str]
    run: Run
    run_dir: Path
    sweep_dir: Path
    """The folder of the sweep; of a run alone ``run_dir``."""
    choices: dict[str, str] = field(default_factory=dict)
    """Group -> option."""
    of_hydra: tuple[str, ...] = ()
    """Overrides of Hydra's own keys beside them, for the launcher."""
