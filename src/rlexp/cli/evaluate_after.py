"""``[train] ... eval=TASKS``: trains a run, then evaluates it, as ``evaluate RUN eval=TASKS`` does.

The tasks are composed and their inputs made before the training begins, so that a mistake in them costs nothing. The
evaluation is a process of its own: the trainer and its engine have given the device back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from rlexp.api.evaluate import require_ready
from rlexp.api.train import train_line
from rlexp.cli import flags, ran
from rlexp.cli.answer import Answer
from rlexp.cli.arguments import printed
from rlexp.compose.points import CommandLine
from rlexp.compose.second_root import Asked
from rlexp.compose.task_file import ROOT
from rlexp.errors import Failed, RunError
from rlexp.record import go_on
from rlexp.train import resume
from rlexp.train.jobs import Ran


def command(options: Namespace, line: CommandLine, asked: Asked, here: Path) -> Answer:
    """Trains, then evaluates.

    Raises:
        RunError: the line is a sweep, a task cannot be composed, or as the training.
        Failed: the run was trained, and its evaluation failed.
    """
    if not asked.names:
        hint = f"type {ROOT}=TASKS too, or leave it out"
        raise RunError(f"{ROOT}. changes tasks, and none is asked for", where=asked.typed[0], hint=hint)
    if answer := printed(options, line):
        return answer
    going_on = resume.asked(line)
    point = resume.planned(line, here) if going_on else None
    rest = resume.without(line)
    if point is None and rest.sweeps:
        raise RunError(
            f"{ROOT}= evaluates one run when it is trained, and this is a sweep",
            where=" ".join(asked.typed),
            hint=f"leave it out, and type evaluate multirun/.../0 multirun/.../1 {' '.join(asked.typed)} behind it",
        )
    run = point.point.run if point else rest.points()[0].run
    require_ready(asked, run, line.root)
    done = (resume.resume(line, here) if point else None) or train_line(rest)
    return _evaluated(done, asked, line.root)


def _evaluated(done: Ran, asked: Asked, root: Path) -> Answer:
    trained = ran.of_jobs(done, root)
    return Answer(
        lambda: {**trained.content(), "evaluation": json.loads(_evaluate(done.folder, asked, root, flags.JSON))},
        lambda: print(_evaluate(done.folder, asked, root), end=""),
        trained.exit_code,
    )


def _evaluate(run_dir: Path, asked: Asked, root: Path, *more: str) -> str:
    """Evaluates in a process of its own.

    Returns:
        What it answered with ``--json``; nothing where it printed by itself.
    """
    words = ["evaluate", os.path.relpath(run_dir, root), *asked.typed, *more]
    stdout = subprocess.PIPE if more else None
    ended = subprocess.run([sys.executable, "-m", "rlexp", *words], cwd=root, stdout=stdout, text=True)
    if ended.returncode:
        line = go_on.line(*words)
        failed = Failed("the run was trained, and its evaluation failed", where=words[1], hint=f"type {line}")
        failed.exit_code, failed.run_dir = ended.returncode, run_dir
        raise failed
    return ended.stdout or ""
