"""Trains the tiny model a few steps and prints as JSON what was sampled with which weights; killed or resumed if asked.

Usage: python -m tests.end_to_end.off_policy_run PROJECT FOLDER train|kill|resume OVERRIDE...
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from rlexp.compose.points import points
from rlexp.inputs.find import find_inputs
from rlexp.inputs.prepare import prepare
from rlexp.reward.rubric import Rubric, workers_for

STEPS, SAVED, KILLED = 6, 3, 5


def main(project: Path, folder: Path, mode: str, overrides: list[str]) -> None:
    """Builds the trainer as a run does, watches its ``generate`` and its batches, and trains."""
    fixed = ["hardware=cpu", f"method.max_steps={STEPS}", f"method.save_steps={SAVED}", "method.save_total_limit=null"]
    (point,) = points(project / "conf", [*fixed, *overrides], multirun=False)
    run = point.run
    prepare(run, project)
    inputs = find_inputs(run, project)
    from rlexp.backend import model as models
    from rlexp.backend.patches import Patches

    patches = Patches()
    models.import_libraries(run, patches)
    import torch
    from transformers import TrainerCallback, set_seed

    from rlexp.backend import dataset, logprobs
    from rlexp.backend.engine.engine import Engine
    from rlexp.backend.trainers import arguments, build
    from rlexp.backend.trainers.inputs import TrainerInputs

    set_seed(run.seed)
    model, tokenizer = models.load(run, inputs.model, patches)
    rows = dataset.load(run, inputs.data, "train", None, ("answer",))
    learned = [parameter for _, parameter in sorted(model.named_parameters()) if parameter.requires_grad]
    seen: dict[str, Any] = {"generated": [], "steps": []}
    weights: list[list[Any]] = []

    def hashed() -> str:
        total = hashlib.sha256()
        for parameter in learned:
            total.update(parameter.detach().numpy().tobytes())
        return total.hexdigest()[:16]

    class Watch(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            weights.append([parameter.detach().clone() for parameter in learned])
            seen["steps"].append({"weights": hashed()})

        def on_step_end(self, args: Any, state: Any, control: Any, **__: Any) -> None:
            if mode == "kill" and state.global_step == KILLED:
                sys.stdout.flush()
                os._exit(9)

    with workers_for(run.reward, inputs.rewards, 0) as workers:
        rubric = Rubric(run.reward, inputs.rewards, workers)
        asked = arguments.requested(run, folder)
        engine = Engine(run, inputs.model, patches)
        trainer: Any = build(TrainerInputs(model, tokenizer, rows, None, rubric, asked, engine, run))
        generate, score = trainer.model.generate, trainer._generate_and_score_completions
        batches: list[dict[str, Any]] = []

        def watched(*args: Any, **kwargs: Any) -> Any:
            seen["generated"].append({"weights": hashed()})
            return generate(*args, **kwargs)

        def scored(rows: Any) -> Any:
            batch = score(rows)
            batches.append(batch)
            seen["steps"][-1]["prompts"] = [row["prompt"][-1]["content"] for row in rows]
            seen["steps"][-1]["completions"] = batch["completion_ids"].tolist()
            return batch

        trainer.model.generate, trainer._generate_and_score_completions = watched, scored
        trainer.add_callback(Watch())
        checkpoint = folder / f"checkpoints/checkpoint-{SAVED}" if mode == "resume" else None
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

        # The old log-probabilities by hand: those of the weights before this step's, and before the step before's.
        for number, batch in enumerate(batches):
            mask = batch["completion_mask"]
            old = batch.get("old_per_token_logps", batch.get("old_logps"))
            if old is None:
                continue
            for name, back in (("apart_now", 0), ("apart_one_back", 1)):
                with torch.no_grad():
                    for parameter, value in zip(learned, weights[max(0, number - back)], strict=True):
                        parameter.copy_(value)
                by_hand = logprobs.of_batch(trainer, batch) * mask
                by_hand = by_hand.sum(1) if old.dim() == 1 else by_hand
                apart = (by_hand - (old if old.dim() == 1 else old * mask)).abs().max()
                seen["steps"][number][name] = float(apart)
    timed = ("step_time", "runtime", "per_second", "profiling/")
    seen["logs"] = [
        {key: value for key, value in entry.items() if not any(part in key for part in timed)}
        for entry in trainer.state.log_history
        if "reward" in entry
    ]
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
