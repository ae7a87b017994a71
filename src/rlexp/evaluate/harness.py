"""A task of lm-evaluation-harness with its documents: what it is, and by which hashes.

A task of the project, a team or rlexp lies in ``eval/lm_eval/NAME.yaml``, its data beside it; any other name is one of
the harness's own, whose data come from the hub. Source: https://github.com/EleutherAI/lm-evaluation-harness
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rlexp.compose.task_file import LM_EVAL_FOLDER
from rlexp.console import quiet
from rlexp.errors import RunError, nearest
from rlexp.evaluate.work import Work
from rlexp.inputs.digest import file_md5, json_sha256
from rlexp.project import pip


@dataclass(frozen=True)
class Harness(Work):
    """A task of the harness, or a group of tasks, with its documents."""

    @property
    def task(self) -> str:
        """Its name in the harness."""
        return str(self.settled.named.task.lm_eval.task)

    @property
    def file(self) -> Path | None:
        """The file of a local task; None of the harness's own."""
        path = self.run.places.path(f"{LM_EVAL_FOLDER}/{self.task}.yaml")
        return path if path.is_file() else None

    @functools.cached_property
    def tasks(self) -> dict[str, Any]:
        """Name -> task of the harness, loaded: more than one of a group.

        Raises:
            RunError: the harness is not installed, there is no such task, or its data cannot be had.
        """
        if not find_spec("lm_eval"):
            raise RunError("lm-evaluation-harness is not installed", where=f"eval={self.name}", hint=pip("eval"))
        from lm_eval.tasks import TaskManager

        with silent(), contextlib.chdir(self.file.parent if self.file else Path.cwd()):
            manager = TaskManager(include_path=str(Path.cwd()) if self.file else None, include_defaults=not self.file)
            if self.task not in manager.all_tasks:
                raise self._unknown(manager.all_tasks)
            try:
                return dict(manager.load([self.task])["tasks"])
            except Exception as error:  # of jinja, of YAML, of datasets, of the hub, of the task's own code
                raise self._unloaded(error) from error

    @functools.cached_property
    def rows(self) -> list[int]:
        """The documents that are measured, counted over all tasks of a group."""
        most = self.settled.named.task.rows
        return list(range(sum(min(len(task.eval_docs), most or len(task.eval_docs)) for task in self.tasks.values())))

    def digest(self) -> dict[str, Any]:
        """What the task is, by its hashes: what an evaluation locks of it."""
        named = self.settled.named
        return {
            "version": named.task.version,
            "kind": named.task.kind.name,
            "file": f"{LM_EVAL_FOLDER}/{self.task}.yaml" if self.file else None,
            "md5": file_md5(self.file) if self.file else None,
            "harness": metadata.version("lm_eval"),
            "chat": named.task.lm_eval.chat,
            "rows": len(self.rows),
            "seed": self.seed,
            "tasks": {
                name: {
                    "version": str(task.VERSION),
                    "config": json_sha256(_plain(task.dump_config())),
                    "documents": json_sha256(_plain(list(task.eval_docs))),
                }
                for name, task in self.tasks.items()
            },
        }

    def _unknown(self, own: Sequence[str]) -> RunError:
        local = [Path(name).stem for name in self.run.places.names(f"{LM_EVAL_FOLDER}/*.yaml")]
        what = f"{self.task} is no task of lm-evaluation-harness {metadata.version('lm_eval')}"
        if self.file:
            what, local = f"the file says another task than its name, {self.task}", []
            return RunError(what, where=str(self.file), hint=f"write task: {self.task}")
        guess = nearest(self.task, [*local, *own])
        hint = f"did you mean eval=lm_eval:{guess}? " if guess else ""
        return RunError(what, f"eval={self.name}", f"{hint}local ones ({LM_EVAL_FOLDER}/): {', '.join(local)}")

    def _unloaded(self, error: Exception) -> RunError:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        if self.file:
            hint = "compare it with eval/lm_eval/sums_choice.yaml; the path of a data file is read from its folder"
            return RunError(f"the task {self.task} cannot be loaded: {reason}", where=str(self.file), hint=hint)
        what = f"the data of {self.task}, a task of the harness's own, come from the hub and cannot be had: {reason}"
        hint = (
            "load it once where the hub can be reached, or put the task and its data into "
            f"{LM_EVAL_FOLDER}/{self.task}.yaml and a JSONL file beside it"
        )
        return RunError(what, where=f"eval={self.name}", hint=hint)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Nothing is printed or logged: the harness, the hub and datasets say a lot."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with quiet(Path(os.devnull)):
            yield
    finally:
        logging.disable(before)


def _plain(value: Any) -> Any:
    """The value as JSON has it; what JSON cannot hold by its type, never by its place in memory."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | float | bool) else type(value).__name__
