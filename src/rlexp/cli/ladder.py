"""``ladder``: one reward term first, then one more at a time, in short runs with the same seed, to see which breaks it.

Every rung is an ordinary run in a folder of its own, so ``diff``, ``runs`` and ``inspect`` read it like any other.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.cli import ran
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import command_line, hydra_options
from rlexp.compare import ladder
from rlexp.compare.ladder import Rung
from rlexp.compose.points import Point
from rlexp.compose.run import Run
from rlexp.compose.schema import Combine
from rlexp.errors import RunError
from rlexp.record.claim import SWEEP, held
from rlexp.train import session
from rlexp.train.folders import SWEEP_KEY
from rlexp.train.job import Job
from rlexp.train.one_job import attempt, make_ready

DEFAULTS = ("method.max_steps=20", "held_out.samples=0", "preflight.smoke=never")
"""A rung is a short run; what is typed goes before."""
SWEEP_DIR = "hydra.sweep.dir="
TERM = "reward.terms."


def command(arguments: list[str], here: Path) -> Answer:
    """``ladder reward=a+b+c [overrides]``: runs ``a``, ``a+b``, ``a+b+c`` and says what each addition did.

    The exit code is 1 when a rung did not finish.

    Raises:
        RunError: there is nothing to add, or a rung is not possible; nothing was started.
    """
    options, root = hydra_options(arguments, "ladder"), project.root()
    if options.multirun:
        raise RunError("a ladder sweeps over the reward itself", where="-m", hint="leave it out: one ladder a setting")
    overrides = with_defaults(options.overrides)
    line = command_line(options, here, overrides)
    terms = line.choice("reward").split("+")
    validate(line.points()[0].run, terms)
    rungs = [terms[: number + 1] for number in range(len(terms))]
    made = [command_line(options, here, rung_overrides(overrides, terms, rung)).points()[0] for rung in rungs]
    folder = _folder(overrides, made[-1], root)
    with held(folder, SWEEP, os.path.relpath(folder, root), SWEEP_KEY):
        for point in made:
            make_ready(point.run, root, folder)
        for number, point in enumerate(made):
            print(f"\nrung {number + 1}/{len(made)}: reward={'+'.join(rungs[number])}", flush=True)
            failure = attempt(session.train, Job(point.run, root, folder / str(number), point.overrides))
            if failure:
                print(f"error: {failure}", flush=True)
    found = [ladder.read(folder / str(number), rung) for number, rung in enumerate(rungs)]
    place = os.path.relpath(folder, root)
    return Answer(lambda: to_json(found, folder, root), lambda: show(found, place), int(any(r.reason for r in found)))


def to_json(rungs: list[Rung], folder: Path, root: Path) -> dict[str, Any]:
    """Every rung with its run, and the verdict."""
    listed = [
        {
            "terms": rung.terms,
            "trained": {name: asdict(change) for name, change in rung.trained.items()},
            "run": ran.of_run(folder / str(number), root),
        }
        for number, rung in enumerate(rungs)
    ]
    return {
        "format": FORMAT,
        "folder": os.path.relpath(folder, root),
        "rungs": listed,
        "verdict": ladder.verdict(rungs),
    }


def show(rungs: list[Rung], place: str) -> None:
    """Prints the rungs, the verdict, and where the runs lie."""
    ladder.show(rungs)
    print(f"runs: {place}")


def validate(run: Run, terms: list[str]) -> None:
    """Checks whether a reward can be climbed.

    Raises:
        RunError: the method samples nothing, there is one term only, or nothing would count before the gate's term.
    """
    if not run.method.online:
        raise RunError(
            f"{run.method.name} trains on no reward, so there is nothing to add term by term",
            where=f"method={run.method.name}",
            hint="type method=grpo, or method=rloo",
        )
    if len(terms) < 2:
        raise RunError(
            f"the reward has the one term {terms[0]}: there is nothing to add",
            where=f"reward={terms[0]}",
            hint=f"type reward={terms[0]}+ANOTHER, in the order in which they are to be added",
        )
    gate = run.reward.gate
    if run.reward.combine is Combine.gate and terms[0] != gate:
        first = "+".join([gate, *(term for term in terms if term != gate)])
        raise RunError(
            f"the gate's term {gate} comes after {terms[0]}, and without it nothing counts",
            where=f"reward={'+'.join(terms)}, reward.combine=gate",
            hint=f"type reward={first}",
        )


def with_defaults(overrides: list[str]) -> list[str]:
    """The overrides, behind those of DEFAULTS whose key is not among them."""
    typed = {_key(override) for override in overrides}
    return [default for default in DEFAULTS if _key(default) not in typed] + overrides


def rung_overrides(overrides: list[str], terms: list[str], rung: list[str]) -> list[str]:
    """The overrides that a rung is composed of, less those about terms that it does not have yet."""
    later = tuple(f"{TERM}{term}." for term in terms if term not in rung)
    others = [o for o in overrides if _key(o) != "reward" and not o.startswith(SWEEP_DIR)]
    return [o for o in others if not f"{_key(o)}.".startswith(later)] + [f"reward={'+'.join(rung)}"]


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _folder(overrides: list[str], point: Point, root: Path) -> Path:
    typed = [override.removeprefix(SWEEP_DIR) for override in overrides if override.startswith(SWEEP_DIR)]
    now = datetime.now()
    run = point.run
    name = "_".join((now.strftime("%H-%M-%S.%f"), "ladder", run.method.name, run.model.name, run.dataset.name))
    return root / (typed[-1] if typed else f"multirun/{now:%Y-%m-%d}/{name}")
