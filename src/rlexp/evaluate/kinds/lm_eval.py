"""Tasks of lm-evaluation-harness: its prompts and its metrics, document by document, so that the statistics are ours.

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
from numbers import Real
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.task_run import Settled
from rlexp.compose.tasks import LM_EVAL_FOLDER
from rlexp.console import quiet
from rlexp.errors import RunError, nearest
from rlexp.evaluate.candidates import Candidate
from rlexp.evaluate.subjects import Subject
from rlexp.evaluate.work import Work
from rlexp.inputs.digest import file_md5, json_sha256
from rlexp.inputs.messages import prompt_hash
from rlexp.project import pip

SCORE = "score."
"""Stands before the name of a metric in the stored rows."""
PLAIN = "none"
"""What the harness calls answers that went through no filter."""

COLUMNS = {
    **{"row": "int64", "task": "string", "prompt_sha256": "string", "document": "string", "sample": "int64"},
    **{"prompt": "string", "target": "string", "answer": "string"},
}
"""Columns of every table of this kind, with Arrow's types."""

Scores = dict[str, list[list[float | None]]]
"""Metric -> [documents][1]."""


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

        with _silent(), contextlib.chdir(self.file.parent if self.file else Path.cwd()):
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


def require(work: Work, subjects: Sequence[Subject]) -> None:
    """Checks whether the task can be measured of the subjects, before anything is loaded.

    Raises:
        RunError: as ``Harness.tasks``; or the harness is to ask an endpoint.
    """
    if urls := [one.name for one in subjects if one.url]:
        raise RunError(
            f"{work.name} reads how likely answers are, which an endpoint does not say",
            where=urls[0],
            hint="evaluate the model's folder, or leave the task out of eval=",
        )
    if not work.rows:
        raise RunError(f"{work.name} has no documents", where=f"eval={work.name}", hint="name another task")


def model_of(candidate: Candidate, run: Run) -> Any:
    """The harness's model object of a candidate; one whose model runs elsewhere gets its own here.

    Args:
        run: says how many sequences the hardware takes at once, and how dialogues are rendered.
    """
    from lm_eval.models.huggingface import HFLM

    whole = candidate.model
    model = whole.get_base_model() if hasattr(whole, "get_base_model") else whole  # its layers hold the adapter
    return HFLM(
        pretrained=model,
        tokenizer=candidate.tokenizer,
        backend="causal",
        batch_size=min(run.hardware.sequences_per_device or 1, 64),
        max_length=run.model.max_seq_length,
        chat_template_args=dict(run.chat_template_kwargs),
    )


def measure(work: Work, candidate: Candidate) -> Any:
    """Has the harness ask and score the documents.

    Returns:
        A ``pyarrow.Table``, a row a document.

    Raises:
        RunError: the harness cannot measure it.
    """
    import pyarrow as pa
    from lm_eval import simple_evaluate

    assert isinstance(work, Harness)
    run, task = work.settled.on(candidate.subject.run), work.settled.named.task
    system = run.model.system_prompt if task.lm_eval.chat else None
    seeds = {f"{name}_random_seed": work.seed for name in ("numpy", "torch", "fewshot")}
    try:
        with _silent():
            found = simple_evaluate(
                model=model_of(candidate, run),
                tasks=list(work.tasks.values()),
                limit=task.rows,
                bootstrap_iters=0,
                log_samples=True,
                system_instruction=system,
                apply_chat_template=task.lm_eval.chat,
                random_seed=work.seed,
                **seeds,
            )
    except Exception as error:  # of the task's own code and templates, too
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        hint = "look at its prompts and metrics; eval/lm_eval/sums_choice.yaml is one that works"
        raise RunError(f"the harness failed on {work.name}: {reason}", str(work.file or work.name), hint) from error
    rows = [row for name in work.tasks for row in _documents(name, found["samples"][name])]
    names = list(dict.fromkeys(name for row in rows for name in row))
    work.done(len(rows))
    if not any(name.startswith(SCORE) for name in names):
        hint = "name a task with a metric of each document, such as acc or exact_match"
        raise RunError(f"{work.name} scores no document by itself, only all together", f"eval={work.name}", hint)
    columns = {name: [row.get(name) for row in rows] for name in names}
    types = {name: pa.float64() for name in names if name.startswith(SCORE)}
    return pa.table({"row": list(range(len(rows)))} | {n: pa.array(v, types.get(n)) for n, v in columns.items()})


def _documents(task: str, samples: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a document, in their order, of what the harness logged: a sample a document and filter."""
    rows: dict[int, dict[str, Any]] = {}
    for one in sorted(samples, key=lambda sample: sample["doc_id"]):
        prompt = str(one["arguments"][0][0])
        said = {"task": task, "prompt_sha256": prompt_hash(prompt), "document": one["doc_hash"], "sample": 0}
        row = rows.setdefault(
            one["doc_id"], {**said, "prompt": prompt, "target": str(one["target"]), "answer": _text(one["resps"])}
        )
        for metric in one["metrics"]:
            value = one[metric]
            name = metric if one["filter"] == PLAIN else f"{metric}/{one['filter']}"
            if isinstance(value, Real):
                row[f"{SCORE}{name}"] = float(value)
    return [rows[number] for number in sorted(rows)]


def _text(responses: Sequence[Sequence[Any]]) -> str:
    """What the model said, or the log-probability of each choice."""
    return "\n".join(str(one[0] if isinstance(one, tuple) else one) for of in responses for one in of)


def scores(settled: Settled, table: Any) -> Scores:
    """The metrics of the stored documents; pure.

    Returns:
        What the harness calls them, with ``/FILTER`` where an answer went through one: metric -> [documents][1].
    """
    names = [field.name for field in table.schema if field.name.startswith(SCORE) and str(field.type) == "double"]
    columns = {name.removeprefix(SCORE): table.column(name).to_pylist() for name in names}
    return {name: [[value] for value in values] for name, values in columns.items()}


@contextlib.contextmanager
def _silent() -> Iterator[None]:
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
