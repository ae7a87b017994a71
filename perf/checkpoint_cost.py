"""What a whole checkpoint costs against transformers' own, and what going on from one costs.

One process, one trainer of a run. Between the steps both kinds are written, in turns, to the same disk: transformers'
``_save_checkpoint`` as it is, and ours around it, for as long as it holds the training up; the digest, the wait for the
disk and the rename come beside the next step. Reading one back is timed: the check of every byte, and transformers'
loading. Adapters of several ranks, so that the fixed cost and that of the bytes are told apart.

Usage: python perf/checkpoint_cost.py [PAIRS] (default 20) [RANK ...] (default 16 256 2048)
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rlexp.compose.points import points
from rlexp.inputs.find import find_inputs
from rlexp.inputs.prepare import prepare
from rlexp.record import checkpoints
from rlexp.reward.rubric import Rubric, workers_for

ROOT = Path(__file__).parents[1]


def main(pairs: int, ranks: list[int]) -> None:
    """Prints a table of medians (min to max) for each rank."""
    os.chdir(ROOT)
    print("| rank | MB | transformers' ms | ours ms | ratio | our state in it | beside the training | check | load |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for rank in ranks:
        measured(pairs, rank)


def measured(pairs: int, rank: int) -> None:
    """Measures one adapter, and prints its row."""
    fixed = [f"method.max_steps={pairs}", "method.save_strategy=no", f"model.lora.r={rank}", "model=tiny"]
    run = points(ROOT / "conf", ["hardware=cpu", "method.prompts_per_step=1", *fixed], multirun=False)[0].run
    prepare(run, ROOT)
    inputs = find_inputs(run, ROOT)
    with workers_for(run.reward, inputs.rewards, 0) as workers, tempfile.TemporaryDirectory(dir=ROOT) as place:
        from rlexp.backend import model as models
        from rlexp.backend.patches import Patches

        patches = Patches()
        models.import_libraries(run, patches)
        from transformers import TrainerCallback

        from rlexp.backend import callbacks, dataset
        from rlexp.backend.engine.engine import Engine
        from rlexp.backend.trainers import arguments, build
        from rlexp.backend.trainers.inputs import TrainerInputs
        from rlexp.health.watch import Watch
        from rlexp.record.run_folder import Record
        from rlexp.train import checkpoints as training
        from rlexp.train.job import Job
        from rlexp.train.so_far import RunSoFar
        from rlexp.train.step_time import StepTime

        folder = Path(place) / "run"
        model, tokenizer = models.load(run, inputs.model, patches)
        rows = dataset.load(run, inputs.data, "train", None, ("answer",))
        rubric = Rubric(run.reward, inputs.rewards, workers)
        asked = arguments.requested(run, folder)
        engine = Engine(run, inputs.model, patches)
        trainer: Any = build(TrainerInputs(model, tokenizer, rows, None, rubric, asked, engine, run))
        trainer.remove_callback(callbacks.PrinterCallback)
        watch, times = Watch(run, rubric, folder, print), StepTime(trainer)
        theirs, card = trainer._save_checkpoint, trainer.create_model_card
        record = Record(folder, ROOT, "0" * 16, [])
        own = training.Checkpoints(Job(run, ROOT, folder, []), trainer, RunSoFar(record, rubric, watch, times), print)
        no_card = trainer.create_model_card
        took: dict[str, list[float]] = {"theirs": [], "ours": [], "state": [], "digest": []}
        home = folder / "checkpoints"

        class Both(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                for kind in ("theirs", "ours") if state.global_step % 2 else ("ours", "theirs"):
                    shutil.rmtree(home, ignore_errors=True)
                    os.sync()  # nobody pays for what others left unwritten
                    trainer.create_model_card = card if kind == "theirs" else no_card
                    with clock(took[kind]):
                        (theirs if kind == "theirs" else own.save)(trainer.model, None)
                    own.wait()

        for owner, name, part in ((own, "_add", "state"), (checkpoints, "seal", "digest")):
            setattr(owner, name, timed(getattr(owner, name), took[part]))
        for callback in (watch, times, Both()):
            trainer.add_callback(callback)
        trainer.train()
        own.save(trainer.model)
        own.wait()
        found = checkpoints.last_whole(folder)[0]
        assert found is not None
        size = checkpoints.size(found.folder)
        read: list[float] = []
        loaded: list[float] = []
        for _ in range(pairs):
            with clock(read):
                checkpoints.require(found)
            with clock(loaded):
                trainer._load_from_checkpoint(str(found.folder))
                trainer._load_optimizer_and_scheduler(str(found.folder))
                trainer._load_rng_state(str(found.folder))
        record.__exit__(None, None, None)
    ms = {name: f"{1e3 * statistics.median(values[1:]):.1f}" for name, values in {**took, "check": read}.items()}
    ratio = statistics.median(took["ours"][1:]) / statistics.median(took["theirs"][1:])
    pair = statistics.median(a / b for a, b in zip(took["ours"][1:], took["theirs"][1:], strict=True))
    print(
        f"| {rank} | {size / 1e6:.1f} | {ms['theirs']} | {ms['ours']} | {ratio:.2f} (pairs {pair:.2f}) | {ms['state']} "
        f"| {ms['digest']} | {ms['check']} | {1e3 * statistics.median(loaded[1:]):.1f} |",
        flush=True,
    )


@contextlib.contextmanager
def clock(values: list[float]) -> Iterator[None]:
    """Adds the seconds of the block."""
    began = time.perf_counter()
    yield
    values.append(time.perf_counter() - began)


def timed(function: Callable[..., Any], values: list[float]) -> Callable[..., Any]:
    """The function, its seconds noted."""

    def called(*args: Any, **kwargs: Any) -> Any:
        with clock(values):
            return function(*args, **kwargs)

    return called


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]] or [20]
    main(numbers[0], numbers[1:] or [16, 256, 2048])
