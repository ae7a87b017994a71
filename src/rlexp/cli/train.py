"""``[train]``: composes, checks, locks and trains; the verb that is meant where none is typed."""

from __future__ import annotations

from pathlib import Path

from rlexp.api.train import train_line
from rlexp.cli import trusted
from rlexp.cli.arguments import command_line, hydra_options, prints


def command(arguments: list[str], here: Path) -> int:
    """``[train] [overrides]``: composes, locks and trains a run, or every point of a sweep (-m)."""
    options = hydra_options(trusted.take(arguments), "train")
    line = command_line(options, here)
    return 0 if prints(options, line) else train_line(line)
