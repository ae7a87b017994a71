"""From a checked ``Run`` to its model in memory, checked on the way: what a smoke and the training begin with."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlexp import files
from rlexp.backend import compile_cache, dataset
from rlexp.backend import model as models
from rlexp.backend.engine import server
from rlexp.backend.engine.engine import Engine
from rlexp.backend.loaded import Loaded
from rlexp.backend.patches import Patches
from rlexp.backend.trainers import arguments
from rlexp.compose.schema import Device
from rlexp.console import RunConsole, quiet
from rlexp.errors import Failed, RunError
from rlexp.inputs import find, hashes, reward_versions, trust
from rlexp.inputs.find import Inputs
from rlexp.inputs.trust import Code
from rlexp.preflight.gate import Gate
from rlexp.record import lock
from rlexp.record.run_folder import Record
from rlexp.reward.rubric import workers_for
from rlexp.train.job import Job

LIBRARIES_LOG, TRACEBACK = "libraries.log", "traceback.txt"
LONGEST = 600
"""Characters of an error that are shown."""


@contextlib.contextmanager
def recorded(job: Job) -> Iterator[tuple[Record, contextlib.ExitStack]]:
    """The record of a run folder, and a stack of what lives as long as it; libraries are heard in LIBRARIES_LOG."""
    require_one_process()
    record = Record(job.run_dir, job.root, lock.identity(job.run), job.overrides, job.run.config())
    with (
        record,
        unforeseen(job.run_dir),
        signals(),
        quiet(job.run_dir / LIBRARIES_LOG),
        contextlib.ExitStack() as running,
    ):
        yield record, running


def require_one_process() -> None:
    """Raises a RunError where a launcher started several processes: each would train the whole run, into one record."""
    started = os.environ.get("WORLD_SIZE", "1")
    if started != "1":
        raise RunError(
            f"{started} processes were started (WORLD_SIZE), and a run has one device yet",
            where="torchrun, accelerate launch or srun in front of python -m rlexp",
            hint="type python -m rlexp without it (unset WORLD_SIZE where the shell holds it)",
        )


@contextlib.contextmanager
def unforeseen(run_dir: Path) -> Iterator[None]:
    """Keeps the traceback of an error that nobody foresaw in the run folder, and says it in one message instead.

    Raises:
        Failed: such an error; those with words of their own go through.
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        files.write_text(run_dir / TRACEBACK, traceback.format_exc())
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        message = f"{type(error).__name__}{': ' if lines else ''}{' '.join(lines)[:LONGEST]}"
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise Failed(
            f"the run failed: {message}",
            where=f"{os.path.join(*Path(last.filename).parts[-3:])}:{last.lineno}",
            hint=f"read {os.path.relpath(run_dir / TRACEBACK)}; {LIBRARIES_LOG} beside it holds the libraries' output",
        ) from error


def load(
    job: Job, record: Record, running: contextlib.ExitStack, console: RunConsole, inputs: Inputs | None = None
) -> Loaded:
    """Checks and hashes the inputs, starts reward workers and server, imports the libraries, loads rows and model.

    Args:
        running: ends the workers and the server.
        inputs: where a replay found them; by default those the project holds now.

    Raises:
        RunError: a check failed, or the model cannot be loaded.
    """
    run, root = job.run, job.root
    inputs = inputs or find.find_inputs(run, root)
    gate = Gate(run, inputs, record.content.setdefault("preflight", []), console.warn)
    gate.before_import(root)
    for fault in reward_versions.faults(root, inputs.rewards.values()):
        console.warn(fault)
    trust.remember(Code(source.path) for source in inputs.rewards.values())
    digest = hashes.inputs_digest(run, inputs, root)
    record.mark("locked")
    # Now, so that they start while the libraries are imported.
    workers = running.enter_context(workers_for(run.reward, inputs.rewards, run.hardware.reward_workers))
    serving = running.enter_context(server.started(run, inputs.model, record.run_dir))
    patches = Patches(run.rollout.patches, console.warn)
    running.callback(lambda: record.content.update(patches=patches.to_json()))
    engine = running.enter_context(contextlib.closing(Engine(run, inputs.model, patches)))
    if run.hardware.device is Device.cuda:
        running.callback(lambda: record.content.update(compile_cache=compile_cache.used()))
    models.import_libraries(run, patches)
    record.mark("imported")
    # TRL refuses in a moment what would else be known once the model is loaded.
    arguments.config(run.method, arguments.requested(run, record.run_dir))
    read = tuple(column for source in inputs.rewards.values() for column in source.wanted_columns)
    rows = dataset.load(run, inputs.data, "train", run.dataset.train_rows, read if run.method.online else ())
    gate.before_load(rows)
    model, tokenizer = models.load(run, inputs.model, patches)
    if inputs.model is None:
        digest["model"] = hashes.model_digest(run, None, root)  # the hub's files are there only now
    if serving:
        serving.wait()
    record.mark("loaded")
    gate.before_training(model, tokenizer, rows)
    return Loaded(run, inputs, digest, workers, model, tokenizer, rows, read, engine)


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
