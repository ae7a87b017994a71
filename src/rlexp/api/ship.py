"""``ship``: a run from its weights to its card, stage by stage, each by the verb that does it alone.

Every stage keeps what it did, so that the same command goes on where it stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlexp.chosen import read as read_choice
from rlexp.compose import exports, tasks
from rlexp.compose.schema import Device
from rlexp.errors import Failed
from rlexp.export import formats
from rlexp.record import finished, go_on

FORMATS = f"{exports.ROOT}=merged+gguf"
"""What is made where nothing is typed."""


@dataclass(frozen=True)
class Stage:
    """A verb with its words."""

    name: str
    words: list[str]


def planned(word: str, overrides: Sequence[str], here: Path, root: Path) -> list[Stage]:
    """The stages, checked as far as that costs nothing.

    Args:
        word: the run; where it chose a checkpoint (``held_out.every``), that one is shipped.
        overrides: ``eval=``, ``export=`` and ``hardware=``.

    Raises:
        RunError: the word names no run, a task or a format is unknown, or a package is missing.
    """
    run = finished.open(word, here, root)
    rest, evals = tasks.take(overrides)
    rest, wanted = exports.take(rest)
    asked = list(wanted.typed) if wanted.names else [FORMATS, *wanted.typed]
    on_gpu = run.run.hardware.device is Device.cuda
    found = exports.read(exports.take(asked)[1], run.run.places, on_gpu)
    formats.require(list(found.types))
    if evals.names:
        tasks.read(evals, run.run)
    name = os.path.relpath(run.run_dir, root)
    choice = read_choice(run.run_dir)
    best = f"{name}@best" if choice and choice["step"] != choice["began"] else name
    place = found.typed.dir
    return [
        Stage("evaluate", ["evaluate", best, *evals.typed, *rest]),
        Stage("export", ["export", best, *asked, *rest]),
        Stage("benchmark", ["benchmark", name, *([f"{exports.ROOT}.dir={place}"] if place else []), *rest]),
        Stage("card", ["card", name, *([f"--dir={place}"] if place else [])]),
    ]


def ship(stages: Sequence[Stage], root: Path, say: Callable[[str], None]) -> Iterator[Stage]:
    """Does the stages, and yields each as it is done.

    Raises:
        Failed: a stage failed; those before it are kept.
        RunError: a stage found a mistake.
    """
    for number, stage in enumerate(stages, 1):
        say(f"[{number}/{len(stages)}] {stage.name}")
        done = subprocess.run([sys.executable, "-m", "rlexp", *stage.words], cwd=root)
        if done.returncode:
            line = go_on.line(*stage.words)
            what = f"the stage {stage.name} ended with exit code {done.returncode}"
            failed = Failed(what, where="ship", hint=f"see above, then type the same again; the stage alone: {line}")
            failed.exit_code = done.returncode
            raise failed
        yield stage
