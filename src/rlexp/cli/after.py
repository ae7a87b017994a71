"""``[train] ... eval=TASKS export=FORMATS``: trains a run, then evaluates and exports it, as the verbs do alone.

Tasks and formats are composed and their inputs made before the training begins, so that a mistake in them costs
nothing. What follows is a process of its own: the trainer and its engine have given the device back.
"""

from __future__ import annotations

import json
import os
import subprocess
from argparse import Namespace
from pathlib import Path
from typing import Any

from rlexp.api import export, verb
from rlexp.api.evaluate import require_ready
from rlexp.api.train import train_line
from rlexp.cli import flags, ran
from rlexp.cli.answer import Answer
from rlexp.cli.arguments import printed
from rlexp.compose import exports, task_file
from rlexp.compose.points import CommandLine
from rlexp.compose.second_root import Asked
from rlexp.errors import Failed, RunError
from rlexp.record import go_on
from rlexp.train import resume
from rlexp.train.ran import Ran

VERBS = {task_file.ROOT: "evaluate", exports.ROOT: "export"}
DONE = {"evaluate": "evaluation", "export": "export"}
"""Verb -> the key of its answer beside that of the training."""


def command(options: Namespace, line: CommandLine, evals: Asked, formats: Asked, here: Path) -> Answer:
    """Trains, then evaluates and exports.

    Raises:
        RunError: the line is a sweep, a task or format cannot be composed, or as the training.
        Failed: the run was trained, and what follows failed.
    """
    wanted = {root: asked for root, asked in zip(VERBS, (evals, formats), strict=True) if asked.typed}
    for root, asked in wanted.items():
        if not asked.names:
            things = "tasks" if root == task_file.ROOT else "formats"
            hint = f"type {root}={things.upper()} too, or leave it out"
            raise RunError(f"{root}. changes {things}, and none is asked for", where=asked.typed[0], hint=hint)
    if answer := printed(options, line):
        return answer
    point = resume.planned(line, here) if resume.asked(line) else None
    rest = resume.without(line)
    typed = [word for asked in wanted.values() for word in asked.typed]
    if point is None and rest.sweeps:
        first = next(iter(wanted))
        many = "multirun/.../0 multirun/.../1" if first == task_file.ROOT else "multirun/.../0"
        raise RunError(
            f"{first}= {VERBS[first]}s one run when it is trained, and this is a sweep",
            where=" ".join(typed),
            hint=f"leave it out, and type {VERBS[first]} {many} {' '.join(wanted[first].typed)} behind it",
        )
    run = point.point.run if point else rest.points()[0].run
    if evals.typed:
        require_ready(evals, run, line.root)
    if formats.typed:
        export.require_ready(formats, run, line.root)
    done = (resume.resume(line, here) if point else None) or train_line(rest)
    return _followed(done, {VERBS[root]: asked for root, asked in wanted.items()}, line.root)


def _followed(done: Ran, wanted: dict[str, Asked], root: Path) -> Answer:
    trained = ran.of_jobs(done, root)

    def content() -> dict[str, Any]:
        said = {name: _do(name, done.folder, asked, root, flags.JSON) for name, asked in wanted.items()}
        return {**trained.content(), **{DONE[name]: json.loads(text) for name, text in said.items()}}

    def show() -> None:
        for name, asked in wanted.items():
            print(_do(name, done.folder, asked, root), end="")

    return Answer(content, show, trained.exit_code)


def _do(name: str, run_dir: Path, asked: Asked, root: Path, *more: str) -> str:
    """Does a verb in a process of its own.

    Returns:
        What it answered with ``--json``; nothing where it printed by itself.
    """
    words = [name, os.path.relpath(run_dir, root), *asked.typed, *more]
    code, said = verb.run(words, root, subprocess.PIPE if more else None)
    if code:
        line = go_on.line(*words)
        broken = [one for one, of in _artifacts(said).items() if of["verdict"] == "broken"]
        why = f"its {DONE[name]} found broken: {', '.join(broken)}" if broken else f"its {DONE[name]} ended with {code}"
        failed = Failed(f"the run was trained, and {why}", where=words[1], hint=f"see above; again: {line}")
        failed.exit_code, failed.run_dir = code, run_dir
        raise failed
    return said


def _artifacts(said: str) -> dict[str, Any]:
    """The artifacts of an answer of ``export``; none of another."""
    return json.loads(said).get("artifacts", {}) if said else {}
