"""``[train]``: composes, checks, locks and trains; the verb that is meant where none is typed."""

from __future__ import annotations

from pathlib import Path

from rlexp.api.train import train_line
from rlexp.cli import after, ran
from rlexp.cli.answer import Answer
from rlexp.cli.arguments import command_line, hydra_options, printed
from rlexp.compose import exports, tasks
from rlexp.train import resume


def command(arguments: list[str], here: Path) -> Answer:
    """``[train] [overrides]``: composes, locks and trains a run, or every point of a sweep (-m)."""
    options = hydra_options(arguments, "train")
    options.overrides, evals = tasks.take(options.overrides)
    options.overrides, formats = exports.take(options.overrides)
    line = command_line(options, here)
    if evals.typed or formats.typed:
        return after.command(options, line, evals, formats, here)
    if resume.asked(line) and (gone_on := resume.resume(line, here)):
        return ran.of_jobs(gone_on, line.root)
    line = resume.without(line)
    return printed(options, line) or ran.of_jobs(train_line(line), line.root)
