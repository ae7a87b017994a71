"""What a task measures, kind by kind: rows of samples of one subject, and the metrics that they give.

A kind is a module with two functions: ``measure(work, candidate)`` gives a ``pyarrow.Table``, a row a sample;
``scores(settled, table)``, pure, gives metric -> [prompts][samples], in the order of the prompts of the table. A third
one, ``require(work, subjects)``, may say before anything is loaded what cannot be measured. ``COLUMNS`` are those that
every table of the kind has, with Arrow's types of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.schema_eval import Kind, Sampled
from rlexp.compose.task_run import Settled
from rlexp.errors import RunError
from rlexp.evaluate.subjects import Subject
from rlexp.evaluate.work import Work
from rlexp.inputs import snapshot
from rlexp.inputs.find import Inputs

Scores = dict[str, list[list[float | None]]]
"""Metric -> [prompts][samples]."""


def module(kind: Kind) -> Any:
    """The module of a kind."""
    if kind is Kind.completions:
        from rlexp.evaluate.kinds import completions

        return completions
    if kind is Kind.pairs:
        from rlexp.evaluate.kinds import pairs

        return pairs
    from rlexp.evaluate.kinds import lm_eval

    return lm_eval


def work_of(settled: Settled, inputs: Inputs, run: Run, seed: int) -> Work:
    """The work of a task: of the harness's the documents are its own."""
    if settled.named.task.kind is Kind.lm_eval:
        from rlexp.evaluate.harness import Harness

        return Harness(settled, inputs, run, seed)
    return Work(settled, inputs, run, seed)


def engine_of(kind: Kind, engine: str) -> str:
    """What measures a kind where the evaluation samples by ``engine``: only transformers says how likely given answers
    are, and has the model that the harness asks."""
    return Sampled.transformers.name if kind in (Kind.pairs, Kind.lm_eval) else engine


def read(kind: Kind, path: Path) -> Any:
    """The table of a file of samples, which somebody else may have written.

    Raises:
        RunError: it cannot be read, or is no such table.
    """
    table = snapshot.read(path)
    types = {field.name: str(field.type) for field in table.schema}
    for name, wanted in module(kind).COLUMNS.items():
        if types.get(name) != wanted:
            raise _no_samples(path, f"its column {name} is {types.get(name, 'missing')}")
    return table


def scores(settled: Settled, path: Path) -> Scores:
    """The metrics of a file of samples: metric -> [prompts][samples].

    Raises:
        RunError: it is no such file.
    """
    kind = settled.named.task.kind
    table = read(kind, path)
    try:
        return module(kind).scores(settled, table)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:  # of columns that COLUMNS does not name
        raise _no_samples(path, f"{type(error).__name__}: {error}") from error


def _no_samples(path: Path, why: str) -> RunError:
    hint = "type the same with --again: it measures anew"
    return RunError(f"{path.name} is no file of samples of this version: {why}", where=str(path), hint=hint)


def require(work: Work, subjects: Sequence[Subject]) -> None:
    """Checks whether a task can be measured of the subjects, where its kind says what it needs (``require``).

    Raises:
        RunError: it cannot.
    """
    kind = work.settled.named.task.kind
    if kind is Kind.pairs and (some := [one.name for one in subjects if one.artifact]):
        hint = f"leave {work.name} out of eval=, or evaluate the run"
        raise RunError(f"{work.name} asks a model of transformers, and {some[0]} is an artifact", some[0], hint)
    if needs := getattr(module(kind), "require", None):
        needs(work, subjects)
