"""``[train]``: composes, checks, locks and trains; the verb that is meant where none is typed."""

from __future__ import annotations

from pathlib import Path

from rlexp.cli import trusted
from rlexp.cli.arguments import hydra_options
from rlexp.train import session
from rlexp.train.jobs import run_jobs


def command(arguments: list[str], here: Path) -> int:
    """``[train] [overrides]``: composes, locks and trains a run, or every point of a sweep (-m)."""
    return run_jobs(hydra_options(trusted.take(arguments)), session.train)
