"""From a checked ``Run`` to its model in memory, checked on the way: what a smoke and the training begin with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime

from rlexp.backend import compile_cache, dataset, ranks, telemetry, template_clock
from rlexp.backend import model as models
from rlexp.backend.engine import server
from rlexp.backend.engine.engine import Engine
from rlexp.backend.engine.request import in_thread
from rlexp.backend.loaded import Loaded
from rlexp.backend.patches import Patches
from rlexp.backend.trainers import arguments
from rlexp.compose.schema import Device
from rlexp.console import RunConsole, quiet
from rlexp.errors import Interrupted, RunError, Stopped
from rlexp.inputs import find, hashes, reward_versions, start, trust
from rlexp.inputs.find import Inputs
from rlexp.inputs.trust import Code
from rlexp.preflight.gate import Gate
from rlexp.record import lock
from rlexp.record.checkpoints import last_whole
from rlexp.record.run_folder import LOCK, Record
from rlexp.reward.rubric import workers_for
from rlexp.tracking.beside import Trackers
from rlexp.train import forked, other_devices
from rlexp.train.ending import Ending
from rlexp.train.guards import LIBRARIES_LOG, require_one_process, room, unforeseen
from rlexp.train.job import Job
from rlexp.verdict import Level, Verdict


@contextlib.contextmanager
def recorded(job: Job) -> Iterator[tuple[Record, contextlib.ExitStack, Ending, Trackers]]:
    """The record of a run folder, a stack of what lives as long as it, what ends it early, and its trackers, which end
    behind it; libraries are heard in LIBRARIES_LOG."""
    require_one_process()
    begun, again = job.resume or job.fork, job.resume is not None
    identity, config = lock.identity(job.run), job.run.config()
    record = Record(job.run_dir, job.root, identity, job.overrides, config, begun.step if begun else 0, again)
    if job.resume and not ranks.current().number:
        made = record.content["attempts"]
        locked = lock.read_lock(job.run_dir / LOCK)
        if other := other_devices.found(locked, job.run, job.root, job.resume, made[:-1]):
            made[-1] |= other.to_json()
    record.content |= {"telemetry": telemetry.state(), **(job.launcher or {})}
    record.content |= {"fork": forked.lineage(job.run, job.root)} if job.fork else {}
    ending = Ending(job.run.max_minutes)
    try:
        with (
            ending.heard(),
            Trackers(job.run, job.run_dir, job.root, RunConsole().warn) as trackers,
            record,
            unforeseen(job),
            room(job),
            ending.now(),
            quiet(job.run_dir / LIBRARIES_LOG),
            contextlib.ExitStack() as running,
        ):
            yield record, running, ending, trackers
    except (RunError, Interrupted) as error:
        error.run_dir = job.run_dir
        if isinstance(error, Interrupted) or last_whole(job.run_dir)[0]:
            without = error.override if isinstance(error, Stopped) else None
            error.go_on = job.resume_line(*([without] if without else []))
        raise


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
        record.content["preflight"].append(Verdict("reward.version", Level.warning, fault).to_json())
    trust.remember(Code(source.path) for source in inputs.rewards.values())
    # Beside imports and loading: the files of a new model take as long. Whole before anything is trained.
    hashed = in_thread(lambda: hashes.inputs_digest(run, inputs), "hashes of the inputs")
    if inputs.start:
        record.content["start"] = start.manifest(inputs.start.digest)
        console.print(f"begins with {start.words(inputs.start.digest)[0]}")
    # Now, so that they start while the libraries are imported.
    processes = 0 if ranks.current().number else run.hardware.reward_workers  # rank 0 scores
    workers = running.enter_context(workers_for(run.reward, inputs.rewards, processes))
    serving = running.enter_context(server.started(run, inputs.model, record.run_dir))
    patches = Patches(run.rollout.patches, console.warn)
    running.callback(lambda: record.content.update(patches=patches.to_json()))
    warm = job.warm.engine(run, inputs, hashed.result(), patches) if job.warm else None
    engine = running.enter_context(warm or contextlib.closing(Engine(run, inputs.model, patches)))
    if run.hardware.device is Device.cuda:
        running.callback(lambda: record.content.update(compile_cache=compile_cache.used()))
    models.import_libraries(run, patches)
    ranks.current().join()
    template_clock.freeze(job.moment or datetime.now().replace(microsecond=0))
    record.mark("imported")
    # TRL refuses in a moment what would else be known once the model is loaded.
    arguments.config(run.method, arguments.requested(run, record.run_dir))
    read = inputs.wanted_columns
    wanted = read if run.method.online else ()
    rows = dataset.load(run, inputs.data, "train", run.dataset.train_rows, wanted, inputs.filtered)
    gate.before_load(rows)
    if job.warm:
        lent = job.warm.lent
        model, tokenizer = running.enter_context(job.warm.begun(run, inputs, hashed.result(), patches))
        record.content["warm"] = job.warm.lent > lent
    else:
        model, tokenizer = models.load_begun(run, inputs, patches)
    digest = hashed.result()
    record.mark("locked")
    if inputs.model is None:
        digest["model"] = hashes.model_digest(run, None)  # the hub's files are there only now
    if serving:
        serving.wait()
    record.mark("loaded")
    gate.before_training(model, tokenizer, rows)
    if gate.moment:
        console.print(f"the chat template writes the time: prompts get {gate.moment}, which the lock gives to a replay")
    return Loaded(run, inputs, digest, workers, model, tokenizer, rows, read, engine, gate.moment)
