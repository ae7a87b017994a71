"""From a checked ``Run`` to its model in memory, checked on the way: what a smoke and the training begin with."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from rlexp import compiled
from rlexp.build import server
from rlexp.build.engine import Engine
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.inputs import versions
from rlexp.inputs.check import Inputs, check
from rlexp.record import lock
from rlexp.record.record import Record
from rlexp.reward.rubric import Rubric, workers_for
from rlexp.reward.workers import Workers
from rlexp.train.checking import Checking

LIBRARIES_LOG = "libraries.log"


@dataclass
class Loaded:
    """A run with its model in memory."""

    run: Run
    inputs: Inputs
    digest: dict[str, Any]
    """The hashes of the inputs (``lock.inputs_digest``)."""
    workers: Workers
    model: Any
    tokenizer: Any
    rows: Any
    """The training rows, a ``datasets.Dataset`` with the columns that the rewards read."""
    read: tuple[str, ...]
    """These columns."""
    engine: Engine
    """TRL's vLLM, for every trainer of the run."""

    def rubric(self, folder: Path) -> Rubric:
        """A new rubric, its counters at 0, that notes failures in ``folder``."""
        return Rubric(self.run.reward, self.inputs.rewards, self.workers, folder)


class Voice:
    """What a run says on the terminal, also while the libraries' output goes to a file."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stdout, highlight=False, soft_wrap=True)

    def warn(self, said: str) -> None:
        """Prints a warning."""
        self.console.print(f"[yellow]warning[/] {escape(said)}")


@contextlib.contextmanager
def recorded(run: Run, root: Path, folder: Path, overrides: list[str]) -> Iterator[tuple[Record, contextlib.ExitStack]]:
    """The record of a run folder, and a stack of what lives as long as it; libraries are heard in LIBRARIES_LOG."""
    record = Record(folder, root, lock.identity(run), overrides, run.config())
    with record, signals(), quiet(folder / LIBRARIES_LOG), contextlib.ExitStack() as running:
        yield record, running


def load(
    run: Run, root: Path, record: Record, running: contextlib.ExitStack, voice: Voice, inputs: Inputs | None = None
) -> Loaded:
    """Checks and hashes the inputs, starts reward workers and server, imports the libraries, loads rows and model.

    Args:
        running: ends the workers and the server.
        inputs: where a replay found them; by default those the project holds now.

    Raises:
        RunError: a check failed, or the model cannot be loaded.
    """
    inputs = inputs or check(run, root)
    checking = Checking(run, inputs, record.content.setdefault("preflight", []), voice.warn)
    checking.before_import(root)
    for fault in versions.faults(root, inputs.rewards.values()):
        voice.warn(fault)
    digest = lock.inputs_digest(run, inputs, root)
    record.lap("locked")
    # Now, so that they start while the libraries are imported.
    workers = running.enter_context(workers_for(run.reward, inputs.rewards, run.hardware.reward_workers))
    serving = running.enter_context(server.started(run, inputs.model, record.folder))
    engine = running.enter_context(contextlib.closing(Engine(run, inputs.model)))

    from rlexp.build import model as models  # imports unsloth before trl and transformers

    if run.hardware.device is Device.cuda:
        running.callback(lambda: record.content.update(compile_cache=compiled.used()))
    models.import_libraries(run)
    record.lap("imported")

    from rlexp.build import data

    read = tuple(column for source in inputs.rewards.values() for column in source.wanted_columns)
    rows = data.load(run, inputs.data, "train", run.dataset.train_rows, read if run.method.online else ())
    checking.before_load(rows)
    model, tokenizer = models.load(run, inputs.model)
    if inputs.model is None:
        digest["model"] = lock.model_digest(run, None, root)  # the hub's files are there only now
    if serving:
        serving.wait()
    record.lap("loaded")
    checking.before_training(model, tokenizer, rows)
    return Loaded(run, inputs, digest, workers, model, tokenizer, rows, read, engine)


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
