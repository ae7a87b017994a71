"""From a checked ``Run`` to its model in memory, checked on the way: what a smoke and the training begin with."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from rlexp import files
from rlexp.backend import compile_cache, dataset, telemetry
from rlexp.backend import model as models
from rlexp.backend.engine import server
from rlexp.backend.engine.engine import Engine
from rlexp.backend.loaded import Loaded
from rlexp.backend.patches import Patches
from rlexp.compose.schema import Device
from rlexp.console import RunConsole, quiet
from rlexp.errors import RunError
from rlexp.inputs import find, hashes, reward_versions
from rlexp.inputs.find import Inputs
from rlexp.preflight import checks, facts
from rlexp.preflight.gate import Gate
from rlexp.record import checkpoints, lock
from rlexp.record.run_folder import Record
from rlexp.reward.rubric import workers_for
from rlexp.train.job import Job

LIBRARIES_LOG = "libraries.log"


@contextlib.contextmanager
def recorded(job: Job) -> Iterator[tuple[Record, contextlib.ExitStack]]:
    """The record of a run folder, and a stack of what lives as long as it; libraries are heard in LIBRARIES_LOG."""
    record = Record(job.run_dir, job.root, lock.identity(job.run), job.overrides, job.run.config())
    record.content["telemetry"] = telemetry.state()
    with record, room(job), signals(), quiet(job.run_dir / LIBRARIES_LOG), contextlib.ExitStack() as running:
        yield record, running


@contextlib.contextmanager
def room(job: Job) -> Iterator[None]:
    """Turns what a full disk does to a run into one message, and leaves the last whole checkpoint and no half one.

    Raises:
        RunError: the disk was full, or refused; the message says what the run takes.
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        fault = files.disk_fault(error)
        if fault is None or getattr(error, "errno", files.FULL[0]) not in files.FULL:
            raise
        gone = checkpoints.remove_broken(job.run_dir)
        kept = list(checkpoints.of(job.run_dir).values())[-1:]
        place = os.path.relpath(job.run_dir, job.root)
        needed = checks.written(job.run, job.root / job.run.model.path) if job.run.model.path else 0
        what = f"{fault.what} while the run wrote to {place}"
        what += f": it takes about {needed} bytes, {facts.free(job.run_dir)} are free" if needed else ""
        what += f"; {', '.join(gone)} was not whole and is gone" if gone else ""
        what += f"; {kept[0].name} is whole and stays" if kept else ""
        raise RunError(what, where=fault.where or place, hint=fault.hint) from error


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
    gate.before_import(record.run_dir)
    for fault in reward_versions.faults(root, inputs.rewards.values()):
        console.warn(fault)
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
