"""Callbacks that report while a trainer trains: metrics, completions and a live line. None changes training."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import PrinterCallback as PrinterCallback
from transformers import TrainerCallback

from rlexp import files
from rlexp.backend import notebook
from rlexp.backend.model import end_tokens
from rlexp.console import in_notebook
from rlexp.reward.rubric import READ, Rubric, source_name

TIMING = ("step_time", "runtime", "per_second", "profiling/")
"""Parts of the names of logged values that time the machine; they stay out of what two runs are compared by."""


def split_timing(logs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what was learned, what it took) of one log entry."""
    timing = {key: value for key, value in logs.items() if any(part in key for part in TIMING)}
    return {key: value for key, value in logs.items() if key not in timing}, timing


class Metrics(TrainerCallback):
    """Appends every log entry of training to metrics.jsonl: ``{"step": 1, ..., "timing": {...}}``.

    Args:
        timing: answers, at every entry, what else belongs to its timing.
    """

    def __init__(self, path: Path, timing: Callable[[], dict[str, float]] = dict) -> None:
        self.path = path
        self.timing = timing
        self.training = False

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.training = True

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.training = False

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not self.training:
            return
        learned, timing = split_timing(logs or {})
        line = {"step": state.global_step, **learned, "timing": {**timing, **self.timing()}}
        files.append(self.path, json.dumps(line))


class Completions(TrainerCallback):
    """Writes the completions of every step to completions/step-000001.parquet: prompt, completion, its group, its
    length and whether it was truncated, the score of every term, the combined reward, and the other columns that the
    terms read, to be scored again."""

    def __init__(self, completions_dir: Path, rubric: Rubric, num_generations: int) -> None:
        self.completions_dir = completions_dir
        self.rubric = rubric
        self.num_generations = num_generations

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.rubric.forget()

    def on_step_end(self, args: Any, state: Any, control: Any, **live: Any) -> None:
        batches = self.rubric.of_step(state.global_step)
        if not batches:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.completions_dir.mkdir(exist_ok=True)
        rows: dict[str, list[Any]] = {
            "prompt": [text for batch in batches for text in batch.prompts],
            "completion": [text for batch in batches for text in batch.completions],
        }
        rows["group"] = [number // self.num_generations for number in range(len(rows["prompt"]))]
        if all(batch.tokens for batch in batches):
            rows["tokens"] = [length for batch in batches for length in batch.tokens or ()]
            ends = end_tokens(live["model"], live["processing_class"])
            rows["cut"] = [last not in ends for batch in batches for last in batch.last or ()]
        for name in self.rubric.reward.terms:
            rows[name] = [score for batch in batches for score in batch.scores[name]]
        rows["reward"] = [reward for batch in batches for reward in batch.rewards]
        for name in batches[0].columns:
            rows[f"{READ}{name}"] = [value for batch in batches for value in batch.columns[name]]
        with files.whole_file(self.completions_dir / f"step-{state.global_step:06d}.parquet") as partial:
            pq.write_table(pa.table(rows), partial)


class BySource(TrainerCallback):
    """Adds the mean reward of the completions of each part of a mixture to what the trainer logs of a step, to the
    trackers too: source/PART/reward. A step without a prompt of a part has none of it."""

    def __init__(self, trainer: Any, rubric: Rubric) -> None:
        self.trainer = trainer
        self.rubric = rubric

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        rewards: dict[str, list[float]] = {}
        for batch in self.rubric.of_step(state.global_step):
            for part, reward in zip(batch.sources or (), batch.rewards, strict=bool(batch.sources)):
                if reward is not None:
                    rewards.setdefault(part, []).append(reward)
        for part, values in sorted(rewards.items()):
            # TRL's own gathering: it logs the mean of what is appended between two entries.
            self.trainer._metrics["train"][source_name(part, "reward")].append(sum(values) / len(values))


class Beginning(TrainerCallback):
    """Calls ``begin`` when the training begins, behind the callbacks that were added before."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self.begin = begin

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.begin()


class FirstStep(TrainerCallback):
    """Calls ``mark("first_step_begins")`` and ``mark("first_step_ends")`` around the first step of this process."""

    def __init__(self, mark: Callable[[str], None]) -> None:
        self.mark = mark
        self.marked: set[str] = set()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.once("first_step_begins")

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.once("first_step_ends")

    def once(self, name: str) -> None:
        """Calls ``mark`` the first time that a name is given."""
        if name not in self.marked:
            self.marked.add(name)
            self.mark(name)


class Live(TrainerCallback):
    """A bar on a terminal, one line that changes above a curve in a notebook, else a line every tenth of the way: step,
    reward by term, completion length, time left."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress: Progress | None = None
        self.notebook = notebook.Progress() if in_notebook() else None
        self.began = time.perf_counter()
        self.before = 0
        self.last_tenth = -1

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.began, self.before = time.perf_counter(), state.global_step
        if self.console.is_terminal and not self.notebook:
            columns = (MofNCompleteColumn(), BarColumn(20), TextColumn("{task.description}"), TimeRemainingColumn())
            self.progress = Progress(*columns, console=self.console)
            self.task = self.progress.add_task("first step", total=state.max_steps)
            self.progress.start()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        text = headline(logs or {})
        if not text or state.global_step == 0:
            return
        if self.progress:
            self.progress.update(self.task, completed=state.global_step, description=text)
            return
        tenth = state.global_step * 10 // max(state.max_steps, 1)
        took = time.perf_counter() - self.began
        left = took / max(1, state.global_step - self.before) * (state.max_steps - state.global_step)
        line = f"step {state.global_step}/{state.max_steps}  {text}  {took:.0f} s, {left:.0f} s left"
        if self.notebook:
            self.notebook.add(line, {"step": state.global_step, **(logs or {})})
        elif tenth > self.last_tenth or state.global_step == 1:
            self.last_tenth = tenth
            self.console.print(line)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.stop()

    def stop(self) -> None:
        """Takes the bar off the terminal, also when training stopped early; what a notebook shows becomes whole."""
        if self.progress:
            self.progress.stop()
        if self.notebook:
            self.notebook.show()


def headline(logs: dict[str, Any]) -> str:
    """The few values of a log entry that a person watches."""
    parts = [("loss", "loss"), ("reward", "reward"), ("rewards/margins", "margin"), ("rewards/accuracies", "accuracy")]
    parts += [(key, key.split("/")[1]) for key in logs if key.startswith("rewards/") and key.endswith("/mean")]
    parts += [("completions/mean_length", "length"), ("kl", "kl")]
    if "reward" in logs:
        parts.remove(("loss", "loss"))
    return "  ".join(f"{name} {float(logs[key]):.3g}" for key, name in parts if logs.get(key) is not None)
