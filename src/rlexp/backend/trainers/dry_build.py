"""Builds the trainer of a run, trains nothing, and says how its arguments came out (``plan --effective``)."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from rlexp.backend import dataset
from rlexp.backend import model as models
from rlexp.backend.engine import server
from rlexp.backend.engine.engine import Engine
from rlexp.backend.patches import Patches
from rlexp.backend.trainers import arguments, build, effective
from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.compose.run import Run
from rlexp.inputs.find import Inputs
from rlexp.reward.rubric import Rubric, workers_for


def built(run: Run, inputs: Inputs) -> list[effective.Argument]:
    """The table of a run's trainer: loads the model, builds the trainer, trains nothing and leaves nothing behind."""
    with (
        tempfile.TemporaryDirectory(prefix="rlexp-") as scratch,
        contextlib.ExitStack() as running,
        # A file, since vLLM redirects the descriptor itself.
        (Path(scratch) / "libraries.log").open("w") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        serving = running.enter_context(server.started(run, inputs.model, Path(scratch)))
        patches = Patches(run.rollout.patches)
        models.import_libraries(run, patches)
        model, tokenizer = models.load(run, inputs.model, patches)
        rows = dataset.load(run, inputs.data, "train", run.prompts_per_step, filtered=inputs.filtered)
        requested = arguments.requested(run, Path(scratch))
        with workers_for(run.reward, inputs.rewards, 0) as workers:
            rubric = Rubric(run.reward, inputs.rewards, workers)
            engine = running.enter_context(contextlib.closing(Engine(run, inputs.model, patches)))
            if serving:
                serving.wait()
            parts = TrainerInputs(model, tokenizer, rows, None, rubric, requested, engine, run)
            trainer = build(parts)
        return effective.table(run, requested, trainer.args)
