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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from rlexp.compose.run import Run
from rlexp.compose.schema import When
from rlexp.inputs import versions
from rlexp.inputs.check import Inputs, check
from rlexp.record import lock, smoke_pass
from rlexp.record.record import METRICS, Record
from rlexp.reward.rubric import FAILURES, Rubric, workers_for
from rlexp.reward.workers import Workers
from rlexp.train import closing

LIBRARIES_LOG = "libraries.log"


@dataclass
class Loaded:
    """A run with its model in memory: what a smoke and the training itself begin with."""

    run: Run
    inputs: Inputs
    digest: dict[str, Any]
    """The hashes of the inputs (``lock.inputs_digest``)."""
    workers: Workers
    model: Any
    tokenizer: Any
    rows: Any
    """The training rows, with the columns that the rewards read."""
    read: tuple[str, ...]
    """These columns."""

    def rubric(self, folder: Path) -> Rubric:
        """A new rubric, its counters at 0."""
        return Rubric(self.run.reward, self.inputs.rewards, self.workers, folder)


def train(
    run: Run,
    root: Path,
    folder: Path,
    overrides: list[str],
    inputs: Inputs | None = None,
    approve: Callable[[dict[str, Any]], None] = lambda lock: None,
    smoked: bool = False,
) -> None:
    """Trains ``run`` and leaves lock, manifest, metrics, completions, checkpoints and adapter in ``folder``.

    Args:
        run: composed and checked; its inputs exist (``inputs.prepare``).
        root: the project folder.
        folder: the run folder, made if it is missing.
        overrides: what was typed, for the record.
        inputs: where a replay found the locked inputs; by default those the project holds now.
        approve: is shown the lock before the first step, and raises where it must not be trained.
        smoked: it was trained before, so no smoke goes first.

    Raises:
        RunError: an input, a reward, the smoke or the trainer's arguments turned out wrong; the manifest says so too.
    """
    console = _console()
    with _recorded(run, root, folder, overrides) as (record, running):
        console.print(f"run [bold]{lock.identity(run)}[/] in {os.path.relpath(folder, root)}")
        loaded = _load(run, root, record, running, console, inputs)
        model, tokenizer, digest = loaded.model, loaded.tokenizer, loaded.digest
        if not smoked:
            _smoke_first(loaded, root, record, console)

        from rlexp.build import arguments, data, unsloth_model
        from rlexp.build.methods import TRAINERS
        from rlexp.build.parts import Parts
        from rlexp.evaluate import held_out
        from rlexp.train import callbacks

        rubric = loaded.rubric(folder)
        test = data.load(run, loaded.inputs.data, "test", run.held_out.rows, loaded.read) if run.held_out.rows else None
        asked = arguments.requested(run, folder)
        trainer_test = None if test is None or run.method.online else test.select_columns(run.dataset.type.columns)
        trainer = TRAINERS[run.method.name](Parts(model, tokenizer, loaded.rows, trainer_test, rubric, asked))
        record.content["trainer_arguments"] = arguments.compare(asked, trainer.args)
        fresh = None if run.model.full_finetuning else lock.trainable_sha256(trainer.model)
        locked = lock.lock(run, digest, overrides, tokenizer, fresh)
        record.write_lock(locked, loaded.inputs.rewards.values())
        approve(locked)
        record.lap("built")

        def compare() -> closing.Standing:
            metrics = trainer.evaluate() if trainer_test is not None else {}
            sampled = held_out.measure(run, trainer.model, tokenizer, rubric, test)
            return closing.Standing(closing.eval_metrics(metrics), sampled)

        # An adapter can be switched off, so the base model is measured afterwards and training starts at once.
        before = compare() if test is not None and run.model.full_finetuning else None
        live = callbacks.Live(console)
        for callback in (
            callbacks.Metrics(folder / METRICS),
            callbacks.Completions(folder / "completions", rubric, run.num_generations, _warner(console)),
            callbacks.FirstStep(record.lap),
            live,
        ):
            trainer.add_callback(callback)
        trainer.remove_callback(callbacks.PrinterCallback)
        try:
            trainer.train()
        finally:
            live.stop()
        record.lap("trained")

        weights = unsloth_model.save(run, trainer.model, tokenizer, folder)
        if test is not None:
            after = compare()
            if before is None:
                with trainer.model.disable_adapter():
                    before = compare()
            record.content["held_out"] = closing.summary(before, after)
            (folder / "held_out.json").write_text(json.dumps(closing.samples(before, after), indent=1) + "\n")
            record.lap("compared")
        record.content["reward_scores"] = {"asked": rubric.scored, "failed": rubric.failed}
        record.content["inputs_changed"] = changed = _changed(digest, lock.inputs_digest(run, loaded.inputs, root))
    if test is not None and before is not None:
        closing.show(console, run, before, after)
    warn = _warner(console)
    for name in changed:
        warn(f"{name} changed while the run went on; the lock holds what it began with")
    if rubric.failed:
        warn(f"{rubric.failed} of {rubric.scored} scores failed and were left out; {FAILURES} holds them")
    console.print(f"{weights.name} and record: {os.path.relpath(folder, root)}")


def smoke(run: Run, root: Path, folder: Path, overrides: list[str]) -> None:
    """Takes the smoke steps of ``run``, whether they passed before or not, and leaves their pass and their record.

    Raises:
        RunError: an input is wrong, or the steps failed; the manifest says so too.
    """
    console = _console()
    with _recorded(run, root, folder, overrides) as (record, running):
        record.content["verb"] = "smoke"
        loaded = _load(run, root, record, running, console)
        _take_smoke(loaded, root, record, console)
    console.print(f"record: {os.path.relpath(folder, root)}")


def _console() -> Console:
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def _warner(console: Console) -> Callable[[str], None]:
    return lambda said: console.print(f"[yellow]warning[/] {escape(said)}")


@contextlib.contextmanager
def _recorded(
    run: Run, root: Path, folder: Path, overrides: list[str]
) -> Iterator[tuple[Record, contextlib.ExitStack]]:
    """The record of a run folder, and what lives as long as it; libraries are heard in LIBRARIES_LOG only."""
    record = Record(folder, root, lock.identity(run), overrides, run.config())
    with record, signals(), quiet(folder / LIBRARIES_LOG), contextlib.ExitStack() as running:
        yield record, running


def _load(
    run: Run, root: Path, record: Record, running: contextlib.ExitStack, console: Console, inputs: Inputs | None = None
) -> Loaded:
    """Checks the inputs, hashes them, starts the reward workers, and loads libraries, model and rows."""
    inputs = inputs or check(run, root)
    for fault in versions.faults(root, inputs.rewards.values()):
        _warner(console)(fault)
    digest = lock.inputs_digest(run, inputs, root)
    record.lap("locked")
    # Now, so that they start while the libraries are imported.
    workers = running.enter_context(workers_for(run.reward, inputs.rewards, run.hardware.reward_workers))

    from rlexp.build import unsloth_model  # imports unsloth before trl and transformers

    unsloth_model.import_libraries()
    record.lap("imported")
    model, tokenizer = unsloth_model.load(run, inputs.model)
    if inputs.model is None:
        digest["model"] = lock.model_digest(run, None, root)  # the hub's files are there only now
    record.lap("loaded")

    from rlexp.build import data

    read = tuple(column for source in inputs.rewards.values() for column in source.wanted_columns)
    rows = data.load(run, inputs.data, "train", run.dataset.train_rows, read if run.method.online else ())
    return Loaded(run, inputs, digest, workers, model, tokenizer, rows, read)


def _smoke_first(loaded: Loaded, root: Path, record: Record, console: Console) -> None:
    """Takes the smoke steps in front of a run, unless the run asks for none or they passed before."""
    from rlexp.train import smoke_steps

    found = smoke_pass.read(smoke_pass.path(loaded.run, loaded.digest, root))
    if found and found["device"] != smoke_steps.device():
        found = None
    if smoke_pass.due(loaded.run, found):
        _take_smoke(loaded, root, record, console)
    elif found and loaded.run.preflight.smoke is When.auto:
        record.content["smoke"] = found


def _take_smoke(loaded: Loaded, root: Path, record: Record, console: Console) -> None:
    from rlexp.train import smoke_steps

    run = loaded.run
    figures = smoke_steps.take(
        *(run, loaded.model, loaded.tokenizer, loaded.rows, loaded.rubric),
        folder=record.folder,
        startup_s=record.content["timings_s"]["loaded"],
        console=console,
    )
    record.content["smoke"] = smoke_pass.write(smoke_pass.path(run, loaded.digest, root), figures)
    record.lap("smoked")
    console.print(f"smoke passed: {smoke_steps.told(figures)}")
    console.print(f"              {smoke_pass.costs(figures, run, len(loaded.rows))}")


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
