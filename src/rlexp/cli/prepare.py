"""``prepare``: makes the inputs that are missing, and nothing more."""

from __future__ import annotations

from pathlib import Path

from rlexp import project
from rlexp.cli import trusted
from rlexp.cli.arguments import command_line, hydra_options
from rlexp.inputs.prepare import prepare


def command(arguments: list[str], here: Path) -> int:
    """``prepare [overrides]``: makes the data snapshot and the base model of a run where they are missing."""
    options, root = hydra_options(trusted.take(arguments), "prepare"), project.root()
    for point in command_line(options, here).points():
        prepare(point.run, root)
        print(f"ready: {point.run.dataset.path}, {point.run.model.path or point.run.model.hub_id}")
    return 0
