"""Trains one step with each of several lists of overrides, on one loaded model: ``train_each.py METHOD < cases.json``.

Prints a JSON line for each: ``trained`` with what the trainer held otherwise than asked and the class of its optimizer,
or ``refused`` with the message. Anything else is ``failed``.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from rlexp.backend import dataset
from rlexp.backend import model as models
from rlexp.backend.engine.engine import Engine
from rlexp.backend.patches import Patches
from rlexp.backend.restore import restored_after
from rlexp.backend.trainers import arguments, build, effective
from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.compose.methods import METHODS
from rlexp.compose.points import points
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.inputs.find import Inputs
from rlexp.inputs.prepare import prepare
from rlexp.reward.rubric import Rubric, workers_for

DATA = {
    **dict.fromkeys(("grpo", "rloo"), "arithmetic"),
    **dict.fromkeys(("dpo", "orpo"), "arithmetic_preferences"),
    "kto": "arithmetic_judged",
    "sft": "arithmetic_demonstrations",
}


def composed(method: str, overrides: list[str]) -> Run:
    """The run of one step that the overrides ask for."""
    keys = {override.partition("=")[0] for override in overrides}
    base = [f"method={method}", f"dataset={DATA[method]}", "model=tiny", "hardware=cpu", "held_out.rows=0"]
    base += ["method.max_steps=1", "method.prompts_per_step=2"]
    if METHODS[method].online:
        base += ["method.num_generations=2", "method.max_completion_length=8"]
    base = [override for override in base if override.partition("=")[0] not in keys]
    return points(Path("conf").resolve(), [*base, *overrides], multirun=False)[0].run


def train(run: Run, inputs: Inputs, model: Any, tokenizer: Any, patches: Patches) -> dict[str, Any]:
    """Trains a step or two and puts the model back."""
    with tempfile.TemporaryDirectory() as scratch, restored_after(model, tokenizer):
        rows = dataset.load(run, inputs.data, "train", 8, ("answer",) if run.method.online else ())
        requested = arguments.requested(run, Path(scratch))
        with (
            workers_for(run.reward, inputs.rewards, 0) as workers,
            contextlib.closing(Engine(run, inputs.model, patches)) as engine,
        ):
            rubric = Rubric(run.reward, inputs.rewards, workers)
            trainer: Any = build(TrainerInputs(model, tokenizer, rows, None, rubric, requested, engine, run))
            effective.require(effective.table(run, requested, trainer.args))
            trainer.train()
            return {"trained": type(getattr(trainer.optimizer, "optimizer", trainer.optimizer)).__name__}


def main() -> None:
    """Reads the cases, and answers each."""
    method, cases = sys.argv[1], json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the libraries print
    run = composed(method, [])
    inputs, patches = prepare(run, Path.cwd()), Patches(True)
    models.import_libraries(run, patches)
    model, tokenizer = models.load(run, inputs.model, patches)
    for case in cases:
        try:
            answer = train(composed(method, case), inputs, model, tokenizer, patches)
        except RunError as error:
            answer = {"refused": str(error)}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
            model, tokenizer = models.load(run, inputs.model, patches)
        print(json.dumps({"case": case, **answer}), file=answers, flush=True)


if __name__ == "__main__":
    main()
