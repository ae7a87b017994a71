"""Is a step the same, whatever its micro-batch? Trains four steps with every loss of a method, in one pass and in two.

``python perf/whole_step.py METHOD`` prints a table: the largest difference of the gradients' norms, relative to the
largest norm, and whether ``compose.whole_step`` refuses the second. A loss that is not refused must agree to rounding.
On a CPU with the tiny model, about 3 s a line.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.backend import dataset
from rlexp.backend import model as models
from rlexp.backend.engine.engine import Engine
from rlexp.backend.patches import Patches
from rlexp.backend.restore import restored_after
from rlexp.backend.trainers import arguments, build
from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.compose import geometry, whole_step
from rlexp.compose.methods import METHODS
from rlexp.compose.points import points
from rlexp.compose.run import Run
from rlexp.console import show_table
from rlexp.errors import RunError
from rlexp.inputs.find import Inputs
from rlexp.inputs.prepare import prepare
from rlexp.reward.rubric import Rubric, workers_for

STEPS = 4
DATA = {
    **dict.fromkeys(("dpo", "orpo"), "arithmetic_preferences"),
    "kto": "arithmetic_judged",
    "sft": "arithmetic_demonstrations",
}
BESIDE = {"cispo": "method.epsilon_high=5.0", "exo_pair": "method.label_smoothing=0.1"}
MORE = {
    "grpo": (
        ["method.top_entropy_quantile=0.2"],
        ["method.entropy_coef=0.01"],
        ["method.beta=0.04"],
        ["method.scale_rewards=batch"],
        ["method.mask_truncated_completions=true"],
        ["method.num_iterations=2"],
    ),
    "rloo": (["method.beta=0.05"], ["method.normalize_advantages=true"]),
    "dpo": (["method.use_weighting=true"], ["method.ld_alpha=0.5"]),
    "sft": (["method.neftune_noise_alpha=5.0"], ["method.label_smoothing_factor=0.1"]),
}


def cases(method: str) -> list[list[str]]:
    """The overrides of every loss of a method, and of what else could look at a pass."""
    entry = METHODS[method].arguments.get("loss_type", {})
    several = isinstance(entry.get("default"), list)
    losses = [
        [f"method.loss_type={f'[{loss}]' if several else loss}", *([BESIDE[loss]] if loss in BESIDE else [])]
        for loss in entry.get("choices", ())
    ]
    return [*(losses or [[]]), *MORE.get(method, ())]


def norms(run: Run, inputs: Inputs, model: Any, tokenizer: Any, patches: Patches) -> list[float]:
    """The norms of the gradients of the steps, on a model that is put back."""
    with tempfile.TemporaryDirectory() as scratch, restored_after(model, tokenizer):
        rows = dataset.load(run, inputs.data, "train", STEPS * run.prompts_per_step, ("answer",))
        with (
            workers_for(run.reward, inputs.rewards, 0) as workers,
            contextlib.closing(Engine(run, inputs.model, patches)) as engine,
        ):
            rubric = Rubric(run.reward, inputs.rewards, workers)
            requested = arguments.requested(run, Path(scratch))
            trainer: Any = build(TrainerInputs(model, tokenizer, rows, None, rubric, requested, engine, run))
            trainer.train()
            return [float(line["grad_norm"]) for line in trainer.state.log_history if "grad_norm" in line]


def main() -> None:
    """Trains every case twice and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("method", choices=METHODS)
    method, root = parser.parse_args().method, project.root()
    base = [f"method={method}", f"dataset={DATA.get(method, 'arithmetic')}", "model=tiny", "hardware=cpu"]
    base += [f"method.max_steps={STEPS}", "method.warmup_steps=0"]

    def composed(case: list[str]) -> Run:
        return points(root / "conf", [*base, *case], multirun=False)[0].run

    run = composed([])
    inputs, patches, table = prepare(run, root), Patches(), []
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        models.import_libraries(run, patches)
        model, tokenizer = models.load(run, inputs.model, patches)
        for case in cases(method):
            whole = composed(case)
            step, generations = whole.geometry.sequences_per_step, whole.num_generations
            halves = geometry.derive(whole.prompts_per_step, generations, 1, step // 2)
            one, two = (
                norms(dataclasses.replace(whole, geometry=each), inputs, model, tokenizer, patches)
                for each in (whole.geometry, halves)
            )
            apart = max(abs(a - b) for a, b in zip(one, two, strict=True)) / max(map(abs, one), default=1.0)
            try:
                whole_step.check(whole.arguments, halves, whole.prompts_per_step)
                refused = "no"
            except RunError:
                refused = "yes"
            table.append([" ".join(case) or method, f"{one[-1]:.6f}", f"{two[-1]:.6f}", f"{apart:.1e}", refused])
    show_table(("loss", "one pass", "two passes", "apart", "refused"), table)


if __name__ == "__main__":
    main()
