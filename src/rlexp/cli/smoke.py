"""``smoke``: the steps that ``train`` takes first where they did not pass before, and nothing more."""

from __future__ import annotations

from pathlib import Path

from rlexp.cli import ran
from rlexp.cli.answer import Answer
from rlexp.cli.arguments import command_line, hydra_options, printed
from rlexp.train import session
from rlexp.train.jobs import run_jobs


def command(arguments: list[str], here: Path) -> Answer:
    """``smoke [overrides]``: says whether it is safe to start the run, or every point of a sweep (-m).

    Raises:
        RunError: an input is wrong, or the steps failed; the message names each failed check.
    """
    options = hydra_options(arguments, "smoke")
    line = command_line(options, here)
    return printed(options, line) or ran.of_jobs(run_jobs(line, session.smoke), line.root)
