"""``prepare``: makes the inputs that are missing, and nothing more."""

from __future__ import annotations

from pathlib import Path

from rlexp import project
from rlexp.cli import save_as, trusted
from rlexp.cli.arguments import command_line, hydra_options
from rlexp.inputs.prepare import prepare


def command(arguments: list[str], here: Path) -> int:
    """``prepare [overrides]``: makes the data snapshot and the base model of a run where they are missing."""
    options, root = hydra_options(save_as.take(trusted.take(arguments)), "prepare"), project.root()
    made = command_line(options, here).points()
    for point in made:
        prepare(point.run, root)
        print(f"ready: {point.run.dataset.path}, {point.run.model.path or point.run.model.hub_id}")
    save_as.write(made, root, here)
    return 0
