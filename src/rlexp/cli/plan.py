"""``plan``: what would happen. Prints the resolved run and its inputs; loads nothing and writes nothing.

``plan -m`` prints a table of the points, what they share and what they take together (``plan_sweep``).
``plan --effective`` loads the model and builds the trainer, and prints its arguments as asked and as held.
``plan --save-as=conf/model/NAME.yaml`` (or conf/dataset) writes the option that was composed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.cli import plan_eval, plan_going_on, plan_sweep, plan_time, save_as, typed_ids
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import command_line, hydra_options
from rlexp.cli.plan_json import effective, to_json
from rlexp.cli.plan_run import describe, refuse, render
from rlexp.compose import tasks
from rlexp.errors import RunError
from rlexp.inputs.find import find_inputs
from rlexp.inputs.prepare import prepare
from rlexp.record import pace
from rlexp.train import folders

FLAGS = {
    "effective": "build the trainer, and print its arguments as asked and as held",
    "all": "with --effective: those at TRL's defaults too",
}


def command(arguments: list[str], here: Path) -> Answer:
    """``plan [overrides]``: prints the resolved run, or the points of a sweep (-m).

    The exit code is 1 when ``--effective`` found an argument that is held otherwise than asked, for no known reason.
    """
    options, root = hydra_options(arguments, "plan", **FLAGS), project.root()
    options.overrides, asked = tasks.take(options.overrides)
    line, going_on = plan_going_on.settle(command_line(options, here), here)
    if options.effective:
        made = line.points()
        if len(made) > 1:
            raise RunError("--effective builds one trainer", where="-m", hint="name one point of the sweep")
        return effective(made[0].run, prepare(made[0].run, root), options.all)
    if options.all:
        raise RunError("--all belongs to --effective", where="plan --all", hint="type plan --effective --all")
    begun = {"going_on": [f"{name}: {value}" for name, value in going_on]} if going_on else {}
    if going_on:
        print(f"{render(going_on)}\n")
    if line.sweeps:
        planned = plan_sweep.planned(line)
        plan_sweep.show(planned, asked)
        saved = save_as.write([one.point for one in planned.points], root, here)
        return Answer(lambda: {"format": FORMAT, **plan_sweep.to_json(planned), **begun, "saved": saved})
    (point,) = line.points()
    resumes = plan_going_on.resumes(going_on)
    if not resumes:
        folders.refuse(line, [point])
    inputs = find_inputs(point.run, root)
    refuse(point.run, inputs)
    expected = None if resumes else plan_time.expected(point.run, inputs, root, pace.seen(root))
    rows = typed_ids.inserted(describe(point.run, inputs, root), point, root)
    times = [] if resumes else [("time", plan_time.words(expected))]
    print(render([*rows, *times, *plan_eval.rows(point.run, inputs, asked, root)]))
    saved = save_as.write([point], root, here)

    def content() -> dict[str, Any]:
        time = {"time": plan_time.to_json(expected)}
        return {"format": FORMAT, **to_json(point, inputs, root), **time, **begun, "saved": saved}

    return Answer(content)
