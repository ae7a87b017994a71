"""The smoke itself: some real steps where they are hardest, on the model that is loaded, and what they showed.

The longest prompts come first, and the second step takes the same ones again with completions driven to their full
length (the third, where they are sampled a step ahead), when the optimizer's state is there too: the peak of memory is
met at once. Afterwards the model, the tokenizer
and the random state are as they were, so that a run after a smoke is the run without it, to the last bit.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from rlexp import files
from rlexp.backend import callbacks, peak_memory
from rlexp.backend.loaded import Loaded
from rlexp.backend.restore import restored_after, weight_change
from rlexp.backend.trainers import arguments, build
from rlexp.backend.trainers.inputs import TrainerInputs
from rlexp.compose import largest
from rlexp.compose.run import Run
from rlexp.console import RunConsole
from rlexp.errors import RunError
from rlexp.preflight.smoke.facts import read_facts, step_seconds
from rlexp.preflight.smoke.rows import longest_first, steps
from rlexp.preflight.smoke.verdicts import OVERFLOWS, summary, verdicts
from rlexp.record.run_folder import COMPLETIONS, METRICS
from rlexp.verdict import Level, Verdict, require

FOLDER = "smoke"
"""Below the run folder: completions, metrics and verdicts of the smoke."""


def take(loaded: Loaded, run_dir: Path, startup_s: float, console: RunConsole) -> dict[str, Any]:
    """Takes the smoke steps and judges them.

    Args:
        loaded: the trainer of the smoke is given the run's engine, and a rubric of its own, so that the run's counts
            nothing of the smoke.
        run_dir: what the steps left lies in FOLDER below it.
        startup_s: seconds it took until now, for the estimate.

    Returns:
        The figures of a pass: what a step takes, the peak of memory, and what was seen.

    Raises:
        RunError: a check failed, or the memory was used up; the message says what to change.
    """
    run, model, tokenizer, rows = loaded.run, loaded.model, loaded.tokenizer, loaded.rows
    smoke_dir = run_dir / FOLDER
    smoke_dir.mkdir()
    console.print(f"smoke: {steps(run)} steps, longest {'prompts' if run.method.online else 'rows'} first")
    arguments_of_smoke = requested(run, smoke_dir)
    order = longest_first(run, tokenizer, rows)
    rubric = loaded.rubric(smoke_dir)
    clock, iterations = Clock(), run.arguments.get("num_iterations", 1)
    forced = iterations + run.off_policy_steps
    peak_memory.begin()
    with restored_after(model, tokenizer) as weights:
        inputs = TrainerInputs(
            model, tokenizer, rows.select(order), None, rubric, arguments_of_smoke, loaded.engine, run
        )
        trainer = build(inputs)
        seen = [
            callbacks.Metrics(smoke_dir / METRICS),
            callbacks.Completions(smoke_dir / COMPLETIONS, rubric, run.num_generations),
            clock,
        ]
        if run.method.online:
            seen.append(FullLength(trainer, run.arguments["max_completion_length"], iterations, 2 * iterations))
        live = callbacks.Live(console)
        for callback in (*seen, *([live] if console.is_terminal else [])):
            trainer.add_callback(callback)
        trainer.remove_callback(callbacks.PrinterCallback)
        try:
            trainer.train()
        except RuntimeError as error:
            verdict = broke_off(run, error, len(clock.took) + 1)
            if verdict is None:
                raise
            write_and_require([verdict], smoke_dir, {}, console.warn)
        finally:
            live.stop()
        most, finite = weight_change(model, weights)
        peak = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else peak_rss()
        del trainer, seen  # with the optimizer's state
    facts = read_facts(run, smoke_dir, most, finite, forced + 1)
    figures = {
        "step_s": step_seconds(clock.took, iterations),
        "first_step_s": clock.took[0],
        "startup_s": startup_s,
        "peak_bytes": peak,
        "on_device": torch.cuda.is_available(),
        "device": device(),
        **summary(facts),
    }
    write_and_require(verdicts(facts), smoke_dir, figures, console.warn)
    return figures


def broke_off(run: Run, error: RuntimeError, step: int) -> Verdict | None:
    """The verdict on steps that torch ended; None where it is no fault of the run's settings."""
    if isinstance(error, torch.OutOfMemoryError):
        message = f"the memory of the device was used up at smoke step {step}: {str(error).splitlines()[0]}"
        hint = f"fewer tokens (method.max_completion_length), or type {' '.join(largest.smaller(run))}"
        return Verdict("smoke.memory", Level.failed, message, "hardware.sequences_per_device", hint)
    refused = {
        "probability tensor": "the model's probabilities are no numbers any more",  # torch.multinomial
        "device-side assert": "the GPU refused a value, most likely probabilities that are no numbers any more",
    }
    for mark, message in refused.items():
        if mark in str(error):
            where = "method.learning_rate, hardware.dtype"
            hint = f"type method.learning_rate={run.arguments['learning_rate'] / 10:g}; {OVERFLOWS}"
            return Verdict("smoke.finite", Level.failed, f"{message} at smoke step {step}", where, hint)
    return None


def write_and_require(
    found: list[Verdict], smoke_dir: Path, figures: dict[str, Any], warn: Callable[[str], None]
) -> None:
    """Writes the verdicts beside the steps' completions, and prints the warnings.

    Raises:
        RunError: some failed.
    """
    plain = [verdict.to_json() for verdict in found]
    files.write_text(smoke_dir / "verdicts.json", json.dumps({"verdicts": plain, "figures": figures}, indent=1) + "\n")
    try:
        warnings = require(found)
    except RunError as error:
        place = f"{os.path.relpath(smoke_dir)} holds what the steps left"
        raise RunError(error.what, f"{error.where}; {place}", error.hint) from error
    for verdict in warnings:
        warn(str(verdict))


def describe(figures: dict[str, Any]) -> str:
    """The steps in one line."""
    if "loss" in figures:
        one, two = figures["loss"]
        return f"loss {one:.3g} -> {two:.3g}, weights moved by {figures['moved']:.2g}"
    (one, two), full = figures["reward"], figures["full_length"]
    return (
        f"reward {one:.3g} -> {two:.3g}, {figures['unequal_groups']:.0%} of the groups with unequal rewards, "
        f"{figures['tokens']:.0f} tokens a completion{f' (one step of {full})' if full else ''}, "
        f"{figures['cut']:.0%} cut, weights moved by {figures['moved']:.2g}"
    )


def requested(run: Run, smoke_dir: Path) -> dict[str, Any]:
    """The run's own arguments of the trainer, less what saves, evaluates and shuffles."""
    requested_arguments = arguments.requested(run, smoke_dir)
    return requested_arguments | {
        name: value
        for name, value in {
            "max_steps": steps(run),
            "logging_strategy": "steps",
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "save_strategy": "no",
            "eval_strategy": "no",
            "eval_on_start": False,
            "load_best_model_at_end": False,
            "report_to": "none",
            "shuffle_dataset": False,
            "train_sampling_strategy": "sequential",
        }.items()
        if name in requested_arguments
    }


def device() -> str:
    """The device of a pass: the GPU's name; the processor is in its key."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def peak_rss() -> int:
    """Bytes this process held at most; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Clock(TrainerCallback):
    """Notes the seconds of every step."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.began = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.took.append(time.perf_counter() - self.began)


class FullLength(TrainerCallback):
    """Has completions go on to their limit: the end tokens cannot be sampled from the step ``begins`` until ``ends``.

    Sources: transformers' ``GenerationConfig.min_new_tokens``, vLLM's ``SamplingParams.min_tokens``.
    """

    def __init__(self, trainer: Any, tokens: int, begins: int, ends: int) -> None:
        self.trainer, self.tokens = trainer, tokens
        self.engine = getattr(trainer, "vllm_generation", None)
        self.begins, self.ends = begins, ends
        self.before = self.engine.generation_kwargs if self.engine else trainer.generation_config.min_new_tokens

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step not in (self.begins, self.ends):
            return
        on = state.global_step == self.begins
        if self.engine:
            self.engine.generation_kwargs = {**self.before, "min_tokens": self.tokens} if on else self.before
        else:
            self.trainer.generation_config.min_new_tokens = self.tokens if on else self.before
