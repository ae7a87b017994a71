"""One training run from a checked ``Run`` to a finished run folder. Reads top to bottom.

Source: the loop is TRL's and transformers' ``Trainer.train``; this module only orders what stands around it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.schema import When
from rlexp.inputs.check import Inputs
from rlexp.record import lock, smoke_pass
from rlexp.record.record import METRICS, Record
from rlexp.reward.rubric import FAILURES
from rlexp.train import closing
from rlexp.train.loading import Loaded, Voice, load, recorded


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
        Stopped: a health rule ended it; what was trained so far is saved.
    """
    voice = Voice()
    with recorded(run, root, folder, overrides) as (record, running):
        voice.console.print(f"run [bold]{lock.identity(run)}[/] in {os.path.relpath(folder, root)}")
        loaded = load(run, root, record, running, voice, inputs)
        model, tokenizer, digest = loaded.model, loaded.tokenizer, loaded.digest
        if not smoked:
            _smoke_first(loaded, root, record, voice)

        from rlexp.build import arguments, data, effective
        from rlexp.build import model as models
        from rlexp.build.methods import TRAINERS
        from rlexp.build.parts import Parts
        from rlexp.evaluate import held_out
        from rlexp.health.watch import Watch
        from rlexp.train import callbacks, memory, step_time

        rubric = loaded.rubric(folder)
        test = data.load(run, loaded.inputs.data, "test", run.held_out.rows, loaded.read) if run.held_out.rows else None
        asked = arguments.requested(run, folder)
        trainer_test = None if test is None or run.method.online else test.select_columns(run.dataset.type.columns)
        parts = Parts(model, tokenizer, loaded.rows, trainer_test, rubric, asked, loaded.engine, run.off_policy_steps)
        trainer = TRAINERS[run.method.name](parts)
        record.content["effective_arguments"] = effective.compact(effective.table(run, asked, trainer.args))
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
        live, times = callbacks.Live(voice.console), step_time.StepTime(trainer)
        watch = Watch(run, rubric, folder, voice.warn)
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
        memory.begin()
        try:
            trainer.train()
        finally:
            live.stop()
        record.lap("trained")
        if peaks := memory.figures(run):
            record.content["memory_gib"] = peaks
        record.content["step_time_s"] = took = step_time.medians(times.steps)

        weights = models.save(run, trainer.model, tokenizer, folder)
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
        record.content["inputs_changed"] = changed = _changed(digest, lock.inputs_digest(run, loaded.inputs, root))
    if test is not None and before is not None:
        closing.show(voice.console, run, before, after)
    for name in changed:
        voice.warn(f"{name} changed while the run went on; the lock holds what it began with")
    if rubric.failed:
        voice.warn(f"{rubric.failed} of {rubric.scored} scores failed and were left out; {FAILURES} holds them")
    voice.console.print(step_time.line(took))
    if peaks:
        voice.console.print(memory.line(peaks))
    voice.console.print(f"{weights.name} and record: {os.path.relpath(folder, root)}")


def smoke(run: Run, root: Path, folder: Path, overrides: list[str]) -> None:
    """Takes the smoke steps of ``run``, whether they passed before or not, and leaves their pass and their record.

    Raises:
        RunError: an input is wrong, or the steps failed; the manifest says so too.
    """
    voice = Voice()
    with recorded(run, root, folder, overrides) as (record, running):
        record.content["verb"] = "smoke"
        started = smoke_pass.engine_for(run)
        loaded = load(started, root, record, running, voice)
        # The pass is that of the run, whose engine may compile.
        _take_smoke(dataclasses.replace(loaded, run=run), root, record, voice, uncompiled=started != run)
    voice.console.print(f"record: {os.path.relpath(folder, root)}")


def _smoke_first(loaded: Loaded, root: Path, record: Record, voice: Voice) -> None:
    """Takes the smoke steps in front of a run, unless the run asks for none or they passed before."""
    from rlexp.train import smoke_steps

    found = smoke_pass.read(smoke_pass.path(loaded.run, loaded.digest, root))
    if found and found["device"] != smoke_steps.device():
        found = None
    if smoke_pass.due(loaded.run, found):
        _take_smoke(loaded, root, record, voice)
    elif found and loaded.run.preflight.smoke is When.auto:
        record.content["smoke"] = found


def _take_smoke(loaded: Loaded, root: Path, record: Record, voice: Voice, uncompiled: bool = False) -> None:
    from rlexp.train import smoke_steps

    run = loaded.run
    figures = smoke_steps.take(
        *(run, loaded.model, loaded.tokenizer, loaded.rows, loaded.rubric, loaded.engine),
        folder=record.folder,
        startup_s=record.content["timings_s"]["loaded"],
        voice=voice,
    )
    if uncompiled:
        figures["uncompiled"] = True
    record.content["smoke"] = smoke_pass.write(smoke_pass.path(run, loaded.digest, root), figures)
    record.lap("smoked")
    voice.console.print(f"smoke passed: {smoke_steps.told(figures)}")
    voice.console.print(f"              {smoke_pass.costs(figures, run, len(loaded.rows))}")


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name in before if before[name] != after[name]]
