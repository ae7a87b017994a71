"""The trainer's callback that feeds the rules, warns once a rule, and stops what cannot recover.

It reads and never writes: the trajectory of a watched run is that of an unwatched one.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import TrainerCallback

from rlexp import files
from rlexp.compose.run import Run
from rlexp.errors import Stopped
from rlexp.evaluate.measure import HELD_OUT
from rlexp.health import explain, window
from rlexp.health.rules import Finding, judge
from rlexp.health.window import WatchedStep, Window
from rlexp.record.run_folder import HEALTH
from rlexp.reward.rubric import Batch, Rubric
from rlexp.verdict import Level

PAGE = "health.md"
TENSORS, NUMBERS = 16, 64
"""Trained tensors that are looked at, and numbers of each."""


class Watch(TrainerCallback):
    """Watches one training; ``stopped`` is the finding that ended it.

    Args:
        run: its method, reward and ``health.rules``.
        rubric: hands out the completions of a step with their scores.
        run_dir: where health.jsonl and, for a run that is stopped, health.md are written.
        warn: prints one message.
    """

    def __init__(self, run: Run, rubric: Rubric, run_dir: Path, warn: Callable[[str], None]) -> None:
        self.run = run
        self.rubric = rubric
        self.run_dir = run_dir
        self.warn = warn
        self.stopped: Finding | None = None
        self.found: dict[str, list[Finding]] = {}
        """Rule -> what was said of it: the first warning, and the stop."""
        self.window = Window(window.facts(run, rubric.sources))
        self._step: WatchedStep | None = None
        self._batches: list[Batch] = []
        self._low, self._high = math.inf, -math.inf

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.rubric.forget()
        config = model.config.get_text_config()
        self._weights = Weights(model)
        self._memory = Memory(model.device)
        self.window.facts = dataclasses.replace(
            self.window.facts, max_steps=state.max_steps, vocabulary=config.vocab_size, memory=self._memory.free()
        )

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        batches = self.rubric.of_step(state.global_step)
        if batches:
            self._batches = batches
        self._step = WatchedStep(
            state.global_step,
            sampled=window.sampled(batches, self.window.facts, self._best(batches)) if batches else None,
            moved=self._weights.moved(),
            seconds=time.perf_counter() - self._began,
            memory=self._memory.used(),
        )
        if not control.should_log:
            self._judge(control)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items() if isinstance(value, int | float)}
        measured = {name.removeprefix(HELD_OUT): logs[name] for name in logs if name.startswith(HELD_OUT)}
        if measured:
            self.window.held_out.append((state.global_step, measured))
        elif self._step and "learning_rate" in logs:
            self._step = dataclasses.replace(self._step, logs=logs)
            self._judge(control)

    def state(self) -> dict[str, Any]:
        """What a training that goes on needs of it, as JSON values."""
        found = [finding.to_json() for findings in self.found.values() for finding in findings]
        return {"window": self.window.state(), "found": found, "low": self._low, "high": self._high}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes ``state`` of an earlier process. What stopped that one may stop this one again."""
        self.window.restore(state["window"])
        self._low, self._high = state["low"], state["high"]
        for finding in map(Finding.of_json, state["found"]):
            if finding.level is Level.warning:
                self.found.setdefault(finding.rule, []).append(finding)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Rule -> level (warn or stop) and the first step it was seen at: for the manifest."""
        return {
            rule: {"level": message[-1].to_json()["level"], "first_step": message[0].step}
            for rule, message in self.found.items()
        }

    def require(self) -> None:
        """Says why the run was stopped, if it was.

        Raises:
            Stopped: with the rule, its numbers and what to change.
        """
        if self.stopped:
            rule, page = self.stopped.rule, os.path.relpath(self.run_dir / PAGE)
            stopped = Stopped(
                f"[health.{rule}] {self.stopped.message}",
                where=f"step {self.stopped.step}; {page} explains it, and the weights are saved",
                hint=f"{self.stopped.hint}; to go on all the same: health.rules.{rule}.stop=null",
            )
            stopped.override = f"health.rules.{rule}.stop=null"
            raise stopped

    def _judge(self, control: Any) -> None:
        if self._step is None:
            return
        self.window.add(self._step)
        self._step = None
        for finding in judge(self.window, self.run.health.rules):
            findings = self.found.setdefault(finding.rule, [])
            if findings and findings[-1].level in (Level.failed, finding.level):
                continue
            findings.append(finding)
            files.append_text(self.run_dir / HEALTH, json.dumps(finding.to_json()) + "\n")
            if finding.level is Level.warning:
                self.warn(f"[health.{finding.rule}] {finding.message} (step {finding.step})\n  do:    {finding.hint}")
            elif self.stopped is None:
                self.stopped = finding
                control.should_training_stop = control.should_save = True
        if self.stopped:
            page = explain.page(self.stopped, self.window, self._batches, self.run.health.rules)
            files.write_text(self.run_dir / PAGE, page)

    def _best(self, batches: list[Batch]) -> float:
        """The best reward there is: declared, else the highest seen, once any two differed."""
        rewards = [reward for batch in batches for reward in batch.rewards if reward is not None]
        self._low, self._high = min([self._low, *rewards]), max([self._high, *rewards])
        if self.window.facts.best is not None:
            return self.window.facts.best
        return self._high if self._low < self._high else math.inf


class Weights:
    """A thousand of the trained numbers, spread over the layers; enough to see whether they move."""

    def __init__(self, model: Any) -> None:
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # Odd, so that the two matrices of an adapter, which alternate, are both met.
        every = (len(trained) // TENSORS) | 1
        self._parts = [p.detach().view(-1)[:: max(1, p.numel() // NUMBERS)][:NUMBERS] for p in trained[::every]]
        self._last = self._now()

    def moved(self) -> float | None:
        """By what part of their size they moved since the last call; NaN where they are not finite."""
        now, last = self._now(), self._last
        self._last = now
        size, moved = torch.stack([last.norm(), (now - last).norm()]).tolist()
        return moved / size if size else None

    def _now(self) -> torch.Tensor:
        return torch.cat(self._parts).float()


class Memory:
    """Bytes in use: on the GPU where there is one, else by this process."""

    def __init__(self, device: Any) -> None:
        self._cuda = device.type == "cuda"
        self._process = psutil.Process()

    def used(self) -> float:
        """Now."""
        return float(torch.cuda.memory_allocated() if self._cuda else self._process.memory_info().rss)

    def free(self) -> float:
        """The values that can still be read."""
        return float(torch.cuda.mem_get_info()[0] if self._cuda else psutil.virtual_memory().available)
