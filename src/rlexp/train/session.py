"""One training run from a checked ``Run`` to a finished run folder. Reads top to bottom.

Source: the loop is TRL's and transformers' ``Trainer.train``; this module only orders what stands around it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlexp import files
from rlexp.backend import dataset, peak_memory, ranks, restore
from rlexp.backend import model as models
from rlexp.backend.trainers import arguments, build, effective
from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.compose.schema import Draw
from rlexp.compose.schema_eval import HELD_OUT
from rlexp.console import RunConsole
from rlexp.evaluate import evaluated, measure
from rlexp.evaluate.held_out import Half, rows_of
from rlexp.evaluate.transformers_sampler import TransformersSampler
from rlexp.inputs import hashes, mixture, start
from rlexp.inputs.find import Inputs
from rlexp.preflight.smoke import passes
from rlexp.preflight.smoke.driver import smoke as take_smoke
from rlexp.preflight.smoke.driver import smoke_if_due
from rlexp.record import go_on, left, lock
from rlexp.record.metrics import entries
from rlexp.record.run_folder import COMPLETIONS, LOCK, METRICS, PATCH
from rlexp.reward.rubric import FAILURES
from rlexp.train import selecting, summary
from rlexp.train.devices import launch as devices
from rlexp.train.job import Job
from rlexp.train.loading import load, recorded


def train(
    job: Job,
    inputs: Inputs | None = None,
    approve: Callable[[dict[str, Any]], None] = lambda lock: None,
    smoked: bool = False,
) -> None:
    """Trains a run and leaves lock, manifest, metrics, completions, checkpoints and adapter in its folder.

    Args:
        job: its run is composed and checked, and the inputs exist (``inputs.prepare``).
        inputs: where a replay found the locked inputs; by default those the project holds now.
        approve: is shown the lock before the first step, and raises where it must not be trained.
        smoked: it was trained before, so no smoke goes first.

    Raises:
        RunError: an input, a reward, the smoke or the trainer's arguments turned out wrong; the manifest says so too.
        Stopped: a health rule ended it; what was trained so far is saved.
    """
    if devices.due(job.run):
        devices.run(functools.partial(train, inputs=inputs, approve=approve, smoked=smoked), job)
        approve(lock.read_lock(job.run_dir / LOCK))
        return
    run, run_dir, console, group = job.run, job.run_dir, RunConsole(), ranks.current()
    job.require_beginning()
    with recorded(job) as (record, running, ending, trackers):
        console.print(f"run [bold]{lock.identity(run)}[/] in {os.path.relpath(run_dir, job.root)}")
        if out := list(record.content["git"].get("left_out", {})):
            names = f"{', '.join(out[:3])}{' ...' if out[3:] else ''}"
            console.print(f"left out of {PATCH}: {names} (manifest: git.left_out)")
        task = selecting.task_of(run, job.root)
        loaded = load(job, record, running, console, inputs)
        model, tokenizer, digest = loaded.model, loaded.tokenizer, loaded.digest
        if not smoked and job.resume is None:
            smoke_if_due(loaded, record, console)

        # These import torch and transformers when they are imported, and Unsloth must be first (``load``).
        from rlexp.backend import callbacks
        from rlexp.evaluate.held_out_callback import HeldOutCallback
        from rlexp.health.watch import Watch
        from rlexp.train import checkpoints, so_far, step_time
        from rlexp.train.devices.agree import Agree
        from rlexp.train.last_step import LastStep
        from rlexp.train.selection import Selection

        rubric = loaded.rubric(run_dir)

        test = None
        if run.held_out.rows:
            reporting = rows_of(run, loaded.inputs.data, Half.report)
            test = dataset.load(run, loaded.inputs.data, "test", reporting, loaded.read)
        requested = arguments.requested(run, run_dir)
        trainer_test = None
        if test is not None and not run.method.online:
            trainer_test = test.select_columns(dataset.trained_columns(run, test.column_names))
        sources = list(test[mixture.SOURCE]) if test is not None and run.dataset.parts else None
        rows = dataset.in_training_order(run, loaded.rows)
        trainer = build(TrainerInputs(model, tokenizer, rows, trainer_test, rubric, requested, loaded.engine, run))
        trainer_arguments = effective.table(run, requested, trainer.args)
        record.content["effective_arguments"] = effective.to_json(trainer_arguments)
        effective.require(trainer_arguments)
        fresh = None if run.model.full_finetuning else lock.trainable_sha256(trainer.model)
        files_of = hashes.files_of(run, loaded.inputs, digest)
        origins = run.places.origins(files_of)
        chosen_by = task.digest() if task else None
        locked = lock.lock(run, digest, job.overrides, tokenizer, fresh, origins, loaded.moment, chosen_by)
        if job.resume is None:
            record.write_lock(locked, files_of)
            if loaded.inputs.start:
                start.keep(loaded.inputs.start, run_dir)
        approve(locked)
        if job.resume and not group.number:
            record.keep_lock(locked["versions"])
        record.mark("built")

        def sampled(rows: Any) -> measure.Measurement:
            sampler = TransformersSampler(run, trainer.model, tokenizer)
            return group.from_first(lambda: measure.measure(run, sampler, rubric, rows))

        def compare() -> summary.HeldOutScores:
            metrics = evaluated.metrics(trainer, sources) if trainer_test is not None else {}
            return summary.HeldOutScores(metrics, sampled(test))

        # An adapter can be switched off, or be what it was, so that is measured afterwards and training starts at once.
        goes_on = bool(loaded.inputs.start and loaded.inputs.start.adapter)
        begun_with = restore.trainable(trainer.model) if goes_on and test is not None else None
        before = compare() if test is not None and run.model.full_finetuning else None
        live, times = callbacks.Live(console), step_time.StepTime(trainer)
        watch = Watch(run, rubric, run_dir, console.warn)
        written = (
            callbacks.Metrics(run_dir / METRICS, times.logged),
            callbacks.Completions(run_dir / COMPLETIONS, rubric, run.num_generations),
        )
        for callback in (
            *(() if group.number else written),
            callbacks.FirstStep(record.mark),
            live,
            watch,
            times,
            *([callbacks.BySource(trainer, rubric)] if run.dataset.parts and run.method.online else []),
        ):
            trainer.add_callback(callback)
        selection, choice, best = None, None, None
        if select := selecting.measuring(loaded, task, rubric, running, trainer):
            began = int(go_on.split(run.fork)[1] or 0) if run.fork else 0
            selection = Selection(run_dir, run.held_out.keep, began, console.warn, task.name if task else HELD_OUT)
            every = run.held_out.every
            trainer.add_callback(HeldOutCallback(every, trainer, select, selection.note, job.resume is None))
        trainer.remove_callback(callbacks.PrinterCallback)
        peak_memory.begin()
        begun_at = job.resume.step if job.resume else None
        growing = so_far.RunSoFar(record, rubric, watch, times)
        writer = checkpoints.Checkpoints(job, trainer, growing, console.warn, selection)
        trainer.add_callback(writer)
        # Behind the writer, which puts a record back that goes on.
        trainer.add_callback(callbacks.Beginning(lambda: trackers.begin(record, begun_at)))
        trainer.add_callback(LastStep(ending, record))
        if group.count > 1:
            trainer.add_callback(Agree(group))

        def save() -> Path:
            return models.save(run, trainer.model, tokenizer, run_dir, digest["model"])

        def choose() -> dict[str, Any] | None:
            if selection is None:
                return None
            return selection.end(ending.done, weights, record.seconds(), entries(run_dir))

        with ending.after_step():
            try:
                begun = job.resume or job.fork
                trainer.train(resume_from_checkpoint=str(begun.folder) if begun else None)
            except Exception:
                ending.keep(save)
                raise
            finally:
                live.stop()
                writer.wait()
            record.mark("trained")
            if peaks := peak_memory.figures(run):
                record.content["memory_gib"] = peaks
            record.content["step_time_s"] = took = step_time.medians(times.steps)

            weights = group.from_first(save)
            record.content["health"] = watch.summary()
            if selection and (choice := group.from_first(choose)):
                record.content["selection"] = choice
        ending.require()
        group.from_first(watch.require)
        ended = group.from_first(ending.outcome)
        if ended:
            record.end(*ended)
        elif test is not None:
            after = compare()
            if before is None:
                with restore.with_weights(trainer.model, begun_with) if begun_with else trainer.model.disable_adapter():
                    before = compare()
            if choice and choice["step"] == choice["began"]:
                if not run.fork:
                    best = before
                elif job.fork:
                    with restore.with_checkpoint(trainer, job.fork.folder):
                        best = compare()
            elif selection and choice and choice["step"] != ending.done:
                chosen = group.from_first(functools.partial(selection.folder, choice["step"]))
                with restore.with_checkpoint(trainer, chosen):
                    best = compare()
            record.content["held_out"] = summary.change_table(before, after, best)
            compared = summary.samples(before, after, best)
            files.write_text(run_dir / left.HELD_OUT, json.dumps(compared, indent=1) + "\n")
            record.mark("compared")
        record.content["reward_scores"] = {"asked": rubric.scored, "failed": rubric.failed}
        record.content["inputs_changed"] = changed = _changed(digest, hashes.inputs_digest(run, loaded.inputs))
    if test is not None and before is not None and not ended:
        summary.show(console, run, before, after, best)
    if choice:
        console.print("\n".join(summary.choice_lines(choice, run.held_out.draw is not Draw.first)), markup=False)
    for name in changed:
        console.warn(f"{name} changed while the run went on; the lock holds what it began with")
    if rubric.failed:
        console.warn(f"{rubric.failed} of {rubric.scored} scores failed and were left out; {FAILURES} holds them")
    console.print(step_time.line(took))
    if peaks:
        console.print(peak_memory.summary_line(peaks))
    console.print(f"{weights.name} and record: {os.path.relpath(run_dir, job.root)}")
    if ended:
        console.print(f"{': '.join(ended)}\ngo on: {job.resume_line()}", markup=False)


def smoke(job: Job) -> None:
    """Takes the smoke steps of a run, whether they passed before or not, and leaves their pass and their record.

    Raises:
        RunError: an input is wrong, or the steps failed; the manifest says so too.
    """
    if devices.due(job.run):
        return devices.run(smoke, job)
    console = RunConsole()
    with recorded(job) as (record, running, *_):
        record.content["verb"] = "smoke"
        started = passes.engine_for(job.run)
        loaded = load(dataclasses.replace(job, run=started), record, running, console)
        # The pass is that of the run, whose engine may compile.
        take_smoke(dataclasses.replace(loaded, run=job.run), record, console, uncompiled=started != job.run)
    console.print(f"record: {os.path.relpath(job.run_dir, job.root)}")


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name in before if before[name] != after[name]]
