"""A task with its inputs on this machine: its rows, and who scores them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.task_run import Settled
from rlexp.errors import RunError
from rlexp.evaluate.held_out import Half, rows_of
from rlexp.inputs import snapshot
from rlexp.inputs.digest import file_md5, json_sha256
from rlexp.inputs.find import Inputs
from rlexp.inputs.messages import prompt_hash
from rlexp.reward.pool.pool import Workers


@dataclass(frozen=True)
class Work:
    """A task, its inputs, and how it is measured."""

    settled: Settled
    inputs: Inputs
    """Of its data and rewards; the model of each subject is its own."""
    run: Run
    """The one that the task was settled for."""
    seed: int
    half: Half = Half.report
    workers: Workers | None = None
    """Who scores; None for a task without rewards."""
    base: Any = field(default=None, compare=False)
    """The base's samples of this task, a ``pyarrow.Table``, for kinds that compare with them."""
    done: Callable[[int], None] = field(default=lambda prompts: None, compare=False)
    """Is told after every part how many prompts are done."""

    @property
    def name(self) -> str:
        """The task's name."""
        return self.settled.name

    @functools.cached_property
    def rows(self) -> list[int]:
        """The rows of the split that are measured, by their place in it."""
        return rows_of(self.settled.on(self.run), self.inputs.data, self.half, self.settled.named.task.split.name)

    def rows_or_none(self) -> list[int]:
        """The rows; none where this half has none."""
        try:
            return self.rows
        except RunError:
            return []

    def with_(self, workers: Workers | None, base: Any, done: Callable[[int], None] | None) -> Work:
        """The same with who scores, what it is held against, and who is told how far it is."""
        return dataclasses.replace(self, workers=workers, base=base, done=done or self.done)

    def digest(self) -> dict[str, Any]:
        """What the task is, by its hashes: what an evaluation locks of it."""
        named, task = self.settled.named, self.settled.named.task
        prompts = snapshot.read(self.inputs.data / f"{task.split.name}.parquet", ["prompt"])["prompt"].to_pylist()
        used = {name: self.inputs.rewards[name] for name in self.settled.reward.terms}
        config = self.settled.on(self.run).config()
        return {
            "version": task.version,
            "kind": task.kind.name,
            "file": named.file,
            "md5": file_md5(named.place / named.file) if named.file else None,
            "split": task.split.name,
            "half": self.half.value,
            "rows": len(self.rows),
            "prompts_sha256": json_sha256([prompt_hash(prompts[row]) for row in self.rows]),
            "data": {key: snapshot.digest(self.settled.dataset.path, self.inputs.data)[key] for key in KEPT},
            "rewards": {name: {"file": s.file, "md5": s.md5, "version": s.version} for name, s in used.items()},
            "config": {"dataset": config["dataset"], "reward": config["reward"], **sampling(self)},
        }


KEPT = ("path", "md5", "source")


def sampling(work: Work) -> dict[str, Any]:
    """How the task samples."""
    task, held_out = work.settled.named.task, work.settled.held_out
    return {
        "samples": task.samples,
        "temperature": held_out.temperature,
        "top_p": task.top_p,
        "top_k": task.top_k,
        "max_new_tokens": held_out.max_new_tokens,
        "system_prompt": task.system_prompt,
        "seed": work.seed,
    }
