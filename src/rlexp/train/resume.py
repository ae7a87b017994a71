"""``resume=RUN``: goes on in the folder of a run that did not finish, with everything from its lock.

A run that was killed before it had a lock or a checkpoint begins again in its folder.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rlexp.compose.points import CommandLine, Point
from rlexp.errors import RunError, printable
from rlexp.inputs.find import Inputs
from rlexp.record import attempts, checkpoints, claim, finished, go_on, rewind, status
from rlexp.record.checkpoints import Checkpoint, last_whole
from rlexp.record.finished import FinishedRun
from rlexp.record.go_on import AUTO, RESUME
from rlexp.record.lock import template_time
from rlexp.record.run_folder import LOCK, read_manifest
from rlexp.train import continued, forked, other_devices, resume_auto, session
from rlexp.train.job import Job
from rlexp.train.launch import launch
from rlexp.train.one_job import attempt, make_ready
from rlexp.train.ran import Ran
from rlexp.train.replay import require_same_model, same_threads
from rlexp.train.same_run import drift, require_same

RUN_DIR = "hydra.run.dir"


@dataclasses.dataclass(frozen=True)
class Resumption:
    """A run that can go on, and from where."""

    run_dir: Path
    shown: str
    """The folder as it is typed from the project."""
    line: CommandLine
    """Composes it; its folder is Hydra's run folder."""
    point: Point
    original: FinishedRun | None
    """The run as its folder tells it; None where it was ended before it was locked."""
    checkpoint: Checkpoint | None
    """Where it goes on; None where it begins again."""
    notes: list[str]
    """What a person should read: what differs, and which checkpoints were skipped."""


def asked(line: CommandLine) -> str | None:
    """The text behind ``resume=``, where it was typed."""
    return go_on.take(line.overrides).resume


def without(line: CommandLine) -> CommandLine:
    """The command line without ``resume=``."""
    return dataclasses.replace(line, overrides=go_on.take(line.overrides).rest) if asked(line) else line


def resume(line: CommandLine, here: Path) -> Ran | None:
    """Goes on with the run that ``resume=`` names.

    Returns:
        Its folder; None where ``resume=auto`` found none, and the rest of the line is to begin a new one.

    Raises:
        RunError: there is no such run, it finished or runs, an override would make it another run, or an input is not
            the locked one.
    """
    run_dir, rest = _named(line, here)
    if run_dir is None:
        return None
    shown = go_on.place(run_dir, line.root)
    require_unfinished(run_dir, shown)
    with claim.going_on(run_dir, shown):
        found = prepare(dataclasses.replace(line, overrides=rest), run_dir)
        for note in found.notes:
            print(f"note: {printable(note)}", flush=True)
        begin = f"goes on from step {found.checkpoint.step}" if found.checkpoint else "begins again: no step was kept"
        print(f"{shown} {begin}", flush=True)
        if failure := _train(found):
            raise failure
    return Ran(run_dir, None)


def planned(line: CommandLine, here: Path) -> Resumption | None:
    """What ``resume`` would do, with nothing written; None where ``resume=auto`` would begin a new run.

    Raises:
        RunError: as ``resume``; what only trying shows is not asked.
    """
    run_dir, rest = _named(line, here)
    if run_dir is None:
        return None
    require_unfinished(run_dir, go_on.place(run_dir, line.root))
    return prepare(dataclasses.replace(line, overrides=rest), run_dir)


def prepare(line: CommandLine, run_dir: Path) -> Resumption:
    """Composes the run that goes on, and finds its last whole checkpoint.

    Args:
        line: how it was typed, without ``resume=``.

    Raises:
        RunError: it finished or runs meanwhile, or what was typed makes another run of it.
    """
    shown, root = go_on.place(run_dir, line.root), line.root
    manifest = require_unfinished(run_dir, shown)
    notes, original, typed = [], None, list(line.overrides)
    if (run_dir / LOCK).is_file():
        original = finished.open(str(run_dir), root, root)
        made = continued.over(line, original, typed)
        assert isinstance(made.over, continued.Continued)
        notes += [made.over.note] if made.over.note else []
    else:
        if steps := checkpoints.of(run_dir):
            raise RunError(
                f"the run {shown} kept step {max(steps)}, and its {LOCK} is gone: nothing goes on without it",
                where=str(run_dir / LOCK),
                hint=f"put it back (git checkout, a backup); or begin anew in a folder of its own: type the command "
                f"again without {go_on.override(RESUME, shown)}",
            )
        earlier = [str(one) for one in manifest.get("overrides", [])]
        made = dataclasses.replace(line, overrides=[*continued.without(earlier, typed), *typed])
        made = forked.over(made, root)
    if made.sweeps:
        raise RunError(
            "resume= goes on with one run, and the rest of the line is a sweep",
            where=" ".join(typed) or "-m",
            hint="leave out -m and the lists of values; a point of a sweep is a run: resume=multirun/.../0",
        )
    (point,) = made.points()
    checkpoint, skipped = last_whole(run_dir)
    notes += [f"{name} is skipped: {why}" for name, why in skipped.items()]
    if original:
        require_same(original, point.run, typed, shown, checkpoint)
        if checkpoint:
            run = point.run
            checkpoints.require_devices(checkpoint, run.hardware.devices, run.arguments.get("num_iterations", 1))
            rewind.require_as_written(run_dir, checkpoint, shown)
            made_before = attempts.before(manifest)
            if other := other_devices.found(original.lock, run, root, checkpoint, made_before):
                notes.append(str(other))
        notes += drift(original, point.run)
    else:
        checkpoint = None
    return Resumption(run_dir, shown, made, point, original, checkpoint, notes)


def require_unfinished(run_dir: Path, shown: str) -> dict[str, Any]:
    """The manifest of a run that can go on.

    Raises:
        RunError: it finished, its process is there, or it is none that trains.
    """
    manifest = read_manifest(run_dir)
    stands = status.of(manifest)[0] if manifest else ""
    where = go_on.override(RESUME, shown)
    if manifest is None:
        hint = f"put it back; from its lock: python -m rlexp replay {shown}; from a checkpoint: fork={shown}"
        raise RunError(f"the manifest.json of {shown} is gone: nothing says how it ended", where=where, hint=hint)
    if manifest.get("verb"):
        verb = manifest["verb"]
        raise RunError(f"{shown} is a {verb}, and trains nothing", where=where, hint=f"type {verb} with its overrides")
    if "identity" not in manifest and stands != "running":
        raise RunError(
            f"the run {shown} was ended before its record says what it is",
            where=where,
            hint="remove that folder, and type the same command again",
        )
    if stands == "finished":
        raise RunError(
            f"the run {shown} finished: there is nothing to go on with",
            where=where,
            hint=f"train longer from its last checkpoint: {go_on.override('fork', shown)} method.max_steps=N",
        )
    if stands == "running":
        host, own = manifest.get("host"), status.process()["host"]
        raise RunError(
            f"the run {shown} is running (process {manifest.get('pid')} on {host})",
            where=where,
            hint="wait for it, or end it: kill takes its number"
            if host == own
            else f"whether that process lives is known on {host} only: type it there, or begin a new run from its "
            f"checkpoint: {go_on.override('fork', shown)}",
        )
    return manifest


def _named(line: CommandLine, here: Path) -> tuple[Path | None, list[str]]:
    """(folder of the run that is meant, overrides without ``resume=``); no folder where ``auto`` found none."""
    typed = go_on.take(line.overrides)
    assert typed.resume is not None
    for one in typed.rest:
        if go_on.key_of(one) == RUN_DIR and typed.resume != AUTO:
            raise RunError(
                "the run goes on in its own folder", where=one, hint=f"leave {RUN_DIR} out, or begin a new run: fork="
            )
    if line.multirun:
        raise RunError(
            "resume= goes on with one run, and -m is a sweep",
            where="-m",
            hint="leave out -m; a point of a sweep is a run: resume=multirun/.../0",
        )
    if typed.resume == AUTO:
        return resume_auto.find(dataclasses.replace(line, overrides=typed.rest)), [
            one for one in typed.rest if go_on.key_of(one) != RUN_DIR
        ]
    return go_on.folder_of(go_on.texts(typed.resume), RESUME, here, line.root), typed.rest


def _train(found: Resumption) -> Exception | None:
    """Trains the rest in the folder of the run, by Hydra as any other."""
    inputs = _inputs(found)
    root, run = found.line.root, found.point.run
    make_ready(run, root, found.run_dir, inputs)
    if found.checkpoint is None:
        rewind.clear(found.run_dir)
    fork = None if found.checkpoint else forked.checkpoint_of(run, root)
    moment = template_time(found.original.lock) if found.original else None
    job = Job(run, root, found.run_dir, found.point.overrides, moment, found.checkpoint, fork)
    approve = functools.partial(require_same_model, found.original.lock) if found.original else lambda lock: None
    if found.original and other_devices.devices_of(found.original.lock) == run.hardware.devices:
        same_threads(found.original.lock)
    # A chat template's time is that of the lock, and the steps that a smoke takes were taken.
    work = functools.partial(session.train, inputs=inputs, approve=approve, smoked=found.checkpoint is not None)
    # Hydra keeps the config that is trained, and writes into the folder of the run.
    config = OmegaConf.create({**run.config(), "hydra": found.line.config.hydra})
    OmegaConf.set_readonly(config.hydra, False)
    config.hydra.run.dir = str(found.run_dir).replace("${", r"\${")
    return launch(found.line, lambda cfg: attempt(work, job), config)


def _inputs(found: Resumption) -> Inputs | None:
    """The locked inputs, restored where they are not as they were; None of a run that was never locked."""
    if found.original is None:
        return None
    inputs, notes = found.original.inputs(found.point.run)
    for note in notes:
        print(f"note: {printable(note)}", flush=True)
    if notes and found.checkpoint:
        at = go_on.line(go_on.override("fork", f"{found.shown}@{found.checkpoint.step}"))
        print(f"note: a run goes on with what it began with; with what lies there now: {at}", flush=True)
    return inputs
