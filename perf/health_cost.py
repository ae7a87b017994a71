"""What watching costs: the bare trainer against the same with metrics, completions and health, on the main job.

One process, one model: before every run the fresh adapter is put back and the seed is set, so that all runs do the same
work (checked: equal rewards at every step). Bare and watched runs take turns. On a machine whose speed drifts, whole
steps cannot be told apart to 1%, so what the callbacks take is also measured inside them, and that is what counts.

Usage: python perf/health_cost.py [ROUNDS] (default 5)
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401

import functools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rlexp.compose.points import points
from rlexp.inputs.find import find_inputs
from rlexp.inputs.prepare import prepare
from rlexp.reward.rubric import Rubric, workers_for

ROOT = Path(__file__).parents[1]
STEPS = 40
EVENTS = ("on_train_begin", "on_step_begin", "on_step_end", "on_log", "on_train_end")


def timed(callback: Any, spent: dict[str, float]) -> Any:
    """The callback, noting the seconds that it takes under its class's name."""

    def measured(method: Any) -> Any:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            answer = method(*args, **kwargs)
            name = type(callback).__name__
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - began
            return answer

        return call

    for event in EVENTS:
        setattr(callback, event, measured(getattr(callback, event)))
    return callback


def main(rounds: int) -> None:
    """Runs both in turns and prints medians (min to max)."""
    os.chdir(ROOT)
    (point,) = points(ROOT / "conf", [f"method.max_steps={STEPS}", "method.save_strategy=no"], multirun=False)
    run = point.run
    prepare(run, ROOT)
    inputs = find_inputs(run, ROOT)
    scratch = tempfile.TemporaryDirectory()
    with workers_for(run.reward, inputs.rewards, run.hardware.reward_workers) as workers, scratch as place:
        from rlexp.backend import model as models
        from rlexp.backend.patches import Patches

        patches = Patches()
        models.import_libraries(run, patches)
        import torch
        from transformers import set_seed

        from rlexp.backend import callbacks, dataset
        from rlexp.backend.engine.engine import Engine
        from rlexp.backend.trainers import arguments, build
        from rlexp.backend.trainers.inputs import TrainerInputs
        from rlexp.health.watch import Watch

        model, tokenizer = models.load(run, inputs.model, patches)
        rows = dataset.load(run, inputs.data, "train", None, ("answer",))
        rubric = Rubric(run.reward, inputs.rewards, workers)
        fresh = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}

        def one(folder: Path, watched: bool) -> dict[str, Any]:
            folder.mkdir()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if name in fresh:
                        parameter.copy_(fresh[name])
            set_seed(0)
            asked = arguments.requested(run, folder)
            engine = Engine(run, inputs.model, patches)
            trainer = build(TrainerInputs(model, tokenizer, rows, None, rubric, asked, engine, run))
            trainer.remove_callback(callbacks.PrinterCallback)
            spent: dict[str, float] = {}
            if watched:
                said: list[str] = []
                for callback in (
                    callbacks.Metrics(folder / "metrics.jsonl"),
                    callbacks.Completions(folder / "completions", rubric, run.num_generations),
                    Watch(run, rubric, folder, said.append),
                ):
                    trainer.add_callback(timed(callback, spent))
            began = time.perf_counter()
            trainer.train()
            took = time.perf_counter() - began
            rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
            return {"step": took / STEPS, "rewards": rewards, "spent": {k: v / STEPS for k, v in spent.items()}}

        one(Path(place) / "warm", True)
        made: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
        for number in range(rounds):
            for watched in (False, True) if number % 2 else (True, False):
                made[watched].append(one(Path(place) / f"{number}-{watched}", watched))
    same = all(item["rewards"] == made[False][0]["rewards"] for side in made.values() for item in side)
    print(f"same reward at every one of {STEPS} steps in all {2 * rounds} runs: {same}\n")
    print("| ms a step | median | min | max | share of a bare step |\n|---|---:|---:|---:|---:|")
    steps = {watched: [1e3 * item["step"] for item in side] for watched, side in made.items()}
    bare = statistics.median(steps[False])
    inside = {name: [1e3 * item["spent"][name] for item in made[True]] for name in made[True][0]["spent"]}
    inside["all three"] = [1e3 * sum(item["spent"].values()) for item in made[True]]
    for name, values in {"bare trainer": steps[False], "watched": steps[True], **inside}.items():
        middle = statistics.median(values)
        print(f"| {name} | {middle:.2f} | {min(values):.2f} | {max(values):.2f} | {middle / bare:.2%} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
