"""One training run from a checked ``Run`` to a finished run folder. Reads top to bottom.

Source: the loop is TRL's and transformers' ``Trainer.train``; this module only orders what stands around it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from rlexp.compose.run import Run
from rlexp.inputs import versions
from rlexp.inputs.check import Inputs, check
from rlexp.record import lock
from rlexp.record.record import METRICS, Record
from rlexp.reward.rubric import FAILURES, Rubric, workers_for
from rlexp.train import closing
from rlexp.train.checking import Checking

LIBRARIES_LOG = "libraries.log"


def train(
    run: Run,
    root: Path,
    folder: Path,
    overrides: list[str],
    inputs: Inputs | None = None,
    approve: Callable[[dict[str, Any]], None] = lambda lock: None,
) -> None:
    """Trains ``run`` and leaves lock, manifest, metrics, completions, checkpoints and adapter in ``folder``.

    Args:
        run: composed and checked; its inputs exist (``inputs.prepare``).
        root: the project folder.
        folder: the run folder, made if it is missing.
        overrides: what was typed, for the record.
        inputs: where a replay found the locked inputs; by default those the project holds now.
        approve: is shown the lock before the first step, and raises where it must not be trained.

    Raises:
        RunError: an input, a reward or the trainer's arguments turned out wrong; the manifest says so too.
    """
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)

    def warn(said: str) -> None:
        console.print(f"[yellow]warning[/] {escape(said)}")

    record = Record(folder, root, lock.identity(run), overrides, run.config())
    with record, signals(), quiet(folder / LIBRARIES_LOG), contextlib.ExitStack() as running:
        console.print(f"run [bold]{lock.identity(run)}[/] in {os.path.relpath(folder, root)}")
        inputs = inputs or check(run, root)
        checking = Checking(run, inputs, record.content.setdefault("preflight", []), warn)
        checking.before_import(root)
        for fault in versions.faults(root, inputs.rewards.values()):
            warn(fault)
        digest = lock.inputs_digest(run, inputs, root)
        record.lap("locked")
        # Now, so that they start while the libraries are imported.
        workers = running.enter_context(workers_for(run.reward, inputs.rewards, run.hardware.reward_workers))

        from rlexp.build import unsloth_model  # imports unsloth before trl and transformers

        unsloth_model.import_libraries()
        record.lap("imported")
        from rlexp.build import arguments, data, effective
        from rlexp.evaluate import held_out

        read = tuple(column for source in inputs.rewards.values() for column in source.wanted_columns)
        rows = data.load(run, inputs.data, "train", run.dataset.train_rows, read if run.method.online else ())
        checking.before_load(rows)
        model, tokenizer = unsloth_model.load(run, inputs.model)
        if inputs.model is None:
            digest["model"] = lock.model_digest(run, None, root)  # the hub's files are there only now
        record.lap("loaded")
        checking.before_training(model, tokenizer, rows)

        from rlexp.build.methods import TRAINERS
        from rlexp.build.parts import Parts
        from rlexp.health.watch import Watch
        from rlexp.train import callbacks, step_time

        rubric = Rubric(run.reward, inputs.rewards, workers, folder)
        test = data.load(run, inputs.data, "test", run.held_out.rows, read) if run.held_out.rows else None
        asked = arguments.requested(run, folder)
        trainer_test = None if test is None or run.method.online else test.select_columns(run.dataset.type.columns)
        trainer = TRAINERS[run.method.name](Parts(model, tokenizer, rows, trainer_test, rubric, asked))
        record.content["effective_arguments"] = effective.compact(effective.table(run, asked, trainer.args))
        record.content["trainer_arguments"] = arguments.compare(asked, trainer.args)
        fresh = None if run.model.full_finetuning else lock.trainable_sha256(trainer.model)
        locked = lock.lock(run, digest, overrides, tokenizer, fresh)
        record.write_lock(locked, inputs.rewards.values())
        approve(locked)
        record.lap("built")

        def compare() -> closing.Standing:
            metrics = trainer.evaluate() if trainer_test is not None else {}
            sampled = held_out.measure(run, trainer.model, tokenizer, rubric, test)
            return closing.Standing(closing.eval_metrics(metrics), sampled)

        # An adapter can be switched off, so the base model is measured afterwards and training starts at once.
        before = compare() if test is not None and run.model.full_finetuning else None
        live, times = callbacks.Live(console), step_time.StepTime(trainer)
        watch = Watch(run, rubric, folder, warn)
        for callback in (
            callbacks.Metrics(folder / METRICS, times.logged),
            callbacks.Completions(folder / "completions", rubric, run.num_generations),
            callbacks.FirstStep(record.lap),
            live,
            watch,
            times,
        ):
            trainer.add_callback(callback)
        if test is not None and run.held_out.every:
            trainer.add_callback(callbacks.HeldOut(run, trainer, tokenizer, rubric, test))
        trainer.remove_callback(callbacks.PrinterCallback)
        try:
            trainer.train()
        finally:
            live.stop()
        record.lap("trained")
        record.content["step_time_s"] = took = step_time.medians(times.steps)

        weights = unsloth_model.save(run, trainer.model, tokenizer, folder)
        record.content["health"] = watch.summary()
        watch.require()
        if test is not None:
            after = compare()
            if before is None:
                with trainer.model.disable_adapter():
                    before = compare()
            record.content["held_out"] = closing.summary(before, after)
            (folder / "held_out.json").write_text(json.dumps(closing.samples(before, after), indent=1) + "\n")
            record.lap("compared")
        record.content["reward_scores"] = {"asked": rubric.scored, "failed": rubric.failed}
        record.content["inputs_changed"] = changed = _changed(digest, lock.inputs_digest(run, inputs, root))
    if test is not None and before is not None:
        closing.show(console, run, before, after)
    for name in changed:
        warn(f"{name} changed while the run went on; the lock holds what it began with")
    if rubric.failed:
        warn(f"{rubric.failed} of {rubric.scored} scores failed and were left out; {FAILURES} holds them")
    console.print(step_time.line(took))
    console.print(f"{weights.name} and record: {os.path.relpath(folder, root)}")


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name in before if before[name] != after[name]]


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Sends what the libraries print to a file, so that the run's own lines can be read."""
    with log.open("a", buffering=1) as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        yield


@contextlib.contextmanager
def signals() -> Iterator[None]:
    """Lets a polite kill (SIGTERM) end the run the way Ctrl-C does, with its record written."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # a launcher's worker thread may set no handler
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
