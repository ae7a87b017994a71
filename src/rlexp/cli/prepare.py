"""``prepare``: makes the inputs that are missing, and nothing more."""

from __future__ import annotations

from pathlib import Path

from rlexp import project
from rlexp.cli import save_as
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import command_line, hydra_options
from rlexp.inputs.prepare import prepare


def command(arguments: list[str], here: Path) -> Answer:
    """``prepare [overrides]``: makes the data snapshot and the base model of a run where they are missing."""
    options, root = hydra_options(arguments, "prepare"), project.root()
    ready = []
    made = command_line(options, here).points()
    for point in made:
        inputs, run = prepare(point.run, root), point.run
        print(f"ready: {run.dataset.path}, {run.model.path or run.model.hub_id}")
        splits = {name: split["rows"] for name, split in (inputs.description or {}).get("splits", {}).items()}
        model = {"name": run.model.name, "path": run.model.path, "hub_id": run.model.hub_id}
        ready.append({"dataset": {"name": run.dataset.name, "path": run.dataset.path, "rows": splits}, "model": model})
    saved = save_as.write(made, root, here)
    return Answer(lambda: {"format": FORMAT, "ready": ready, "saved": saved})
