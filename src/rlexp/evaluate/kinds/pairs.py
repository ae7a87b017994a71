"""Which of two given answers a model finds more likely; and, with a judge, whether its own answer beats the base's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rlexp.backend import dataset
from rlexp.backend.prompts import Dialogue, prefill_of, prompt_of
from rlexp.compose.schema import DatasetType
from rlexp.compose.task_run import Settled
from rlexp.errors import RunError
from rlexp.evaluate.candidates import Candidate
from rlexp.evaluate.likelihood import TransformersLikelihood
from rlexp.evaluate.sampler import Sampling
from rlexp.evaluate.subjects import Subject
from rlexp.evaluate.work import Work
from rlexp.inputs.messages import prompt_hash
from rlexp.reward.rubric import Rubric, text_of

PART = 256
"""Rows that are read, then judged, before it is said how far it is."""
ANSWERS = ("chosen", "rejected", "completion")
"""Columns of given answers, of every type of data that has any."""
OTHER = "other"
"""The column of the answer that a judge holds a completion against."""
FIRST, SECOND = "judge.first", "judge.second"
"""What the judge said of (the subject's, the base's) answer, and of the two the other way round."""
OWN = "own"
"""Stands before what is stored of the subject's own answer."""
MAY_LACK = {f"{OWN}.tokens": "int64", FIRST: "float64", SECOND: "float64"}
"""Types of the stored columns that may hold nothing at all."""

Scores = dict[str, list[list[float | None]]]
"""Metric -> [prompts][samples]."""


COLUMNS = {"row": "int64", "prompt_sha256": "string"}
"""Those that every table has, with Arrow's types."""


def require(work: Work, subjects: Sequence[Subject]) -> None:
    """Checks whether the task can be measured of the subjects, before anything is loaded.

    Raises:
        RunError: the data has no answers, the judge compares none, or an endpoint is asked for log-probabilities.
    """
    settled, task = work.settled, work.settled.named.task
    where = settled.named.file or f"eval={settled.name}"
    if settled.dataset.type is DatasetType.prompt_only:
        raise RunError(
            f"{settled.name} compares given answers, and {settled.dataset.name} is prompt_only data",
            where=where,
            hint="name a preference data set there (prompt, chosen, rejected), such as dataset: arithmetic_preferences",
        )
    if task.judge and [OTHER in source.reads for source in work.inputs.rewards.values()] != [True]:
        raise RunError(
            f"{task.judge} is no judge of two answers: one term that reads the column {OTHER}",
            where=f"{where}: judge",
            hint="write judge: preferred there, or an option of your own like it (conf/reward/preferred.yaml)",
        )
    if not task.judge and (urls := [one.name for one in subjects if one.url]):
        raise RunError(
            f"an endpoint does not say how likely given answers are, which {settled.name} measures",
            where=urls[0],
            hint=f"evaluate the model's folder, or let a judge compare answers: eval.{settled.name}.judge=preferred",
        )


def measure(work: Work, candidate: Candidate) -> Any:
    """Reads the given answers of the task's rows; with a judge also answers them, and has that judged.

    Returns:
        A ``pyarrow.Table``, a row a row of the data.
    """
    import pyarrow as pa

    run, task = work.settled.on(candidate.subject.run), work.settled.named.task
    rows = dataset.load(run, work.inputs.data, task.split.name, work.rows, work.inputs.wanted_columns)
    likelihood = TransformersLikelihood(run, candidate.model, candidate.tokenizer) if candidate.model else None
    tables = []
    for start in range(0, len(rows), PART):
        some = rows.select(range(start, min(start + PART, len(rows))))
        prompts = [prompt_of(row) for row in some]
        columns = {
            "row": work.rows[start : start + PART],
            "prompt_sha256": [prompt_hash(prompt) for prompt in prompts],
            "sample": [0] * len(prompts),
            "prompt": [text_of(prompt) for prompt in prompts],
        }
        names = [name for name in ANSWERS if name in some.column_names]
        columns |= {name: [text_of(one) for one in some[name]] for name in names}
        columns |= {"label": some["label"]} if "label" in some.column_names else {}
        if likelihood:
            given = [[row[name] for name in names] for row in some]
            found = likelihood.logprobs(prompts, given)
            for place, name in enumerate(names):
                columns[f"{name}.logp"] = [math.fsum(own[place]) for own in found]
                columns[f"{name}.tokens"] = [len(own[place]) for own in found]
        if task.judge:
            columns |= _judged(work, candidate, some, prompts, start)
        tables.append(pa.table({name: pa.array(values, MAY_LACK.get(name)) for name, values in columns.items()}))
        work.done(min(start + PART, len(rows)))
    return pa.concat_tables(tables)


def _judged(work: Work, candidate: Candidate, rows: Any, prompts: list[Dialogue], start: int) -> dict[str, list[Any]]:
    """The subject's own answers and, where there is a base, what the judge says of both, in both orders."""
    run, task = work.settled.on(candidate.subject.run), work.settled.named.task
    how = Sampling(work.settled.held_out.max_new_tokens, work.settled.held_out.temperature, task.top_p, task.top_k)
    sampled = [group[0] for group in candidate.sampler.sample(prompts, 1, how, work.seed + start)]
    found: dict[str, list[Any]] = {
        f"{OWN}.completion": [one.text for one in sampled],
        f"{OWN}.tokens": [one.length for one in sampled],
        f"{OWN}.truncated": [one.truncated for one in sampled],
    }
    if work.base is None:
        return found
    assert work.workers
    prefill = prefill_of(run, candidate.tokenizer, work.inputs, rows) if candidate.tokenizer else ""
    rubric = Rubric(run.reward, work.inputs.rewards, work.workers, prefill=prefill)
    (term,) = work.inputs.rewards
    ours = found[f"{OWN}.completion"]
    theirs = work.base.column(f"{OWN}.completion").to_pylist()[start : start + len(ours)]
    columns = {name: list(rows[name]) for name in work.inputs.wanted_columns if name in rows.column_names}
    for name, one, other in ((FIRST, ours, theirs), (SECOND, theirs, ours)):
        found[name] = rubric.score(one, prompts, {**columns, OTHER: other}).scores[term]
    return found


def scores(settled: Settled, table: Any) -> Scores:
    """The metrics of the stored rows; pure. Rows of one prompt are samples of it.

    Returns:
        Of preference data ``accuracy`` (chosen is more likely; a tie is a half) and ``margin`` (nats) of the whole
        answers, both also per token, ``chosen_logp`` and ``rejected_logp`` per token. Of answers with a label
        ``desirable_logp`` and ``undesirable_logp`` per token, of answers alone ``completion_logp``. With a judge
        ``win_rate`` against the base over both orders, ``judge_agrees`` (both orders say the same), and ``tokens`` and
        ``truncated`` of the own answers.
    """
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    found = _likelihoods(columns)
    if FIRST in columns:
        verdicts = list(zip(columns[FIRST], columns[SECOND], strict=True))
        found["win_rate"] = [None if None in both else (both[0] + 1 - both[1]) / 2 for both in verdicts]
        found["judge_agrees"] = [
            None if None in both else float(_side(both[0]) == -_side(both[1])) for both in verdicts
        ]
    if f"{OWN}.completion" in columns:
        found["tokens"] = columns[f"{OWN}.tokens"]
        found["truncated"] = [float(value) for value in columns[f"{OWN}.truncated"]]
    hashes = columns["prompt_sha256"]
    grouped = {name: _of_prompts(hashes, values) for name, values in found.items()}
    return {name: of for name, of in grouped.items() if any(value is not None for own in of for value in own)}


def _likelihoods(columns: dict[str, list[Any]]) -> dict[str, list[float | None]]:
    def summed(name: str) -> list[float]:
        return columns[f"{name}.logp"]

    def per_token(name: str) -> list[float]:
        return [logp / max(n, 1) for logp, n in zip(summed(name), columns[f"{name}.tokens"], strict=True)]

    found: dict[str, list[float | None]] = {}
    if "chosen.logp" in columns:
        for accuracy, margin, of in (
            ("accuracy", "margin", summed),
            ("accuracy_per_token", "margin_per_token", per_token),
        ):
            margins = [one - other for one, other in zip(of("chosen"), of("rejected"), strict=True)]
            found[accuracy] = [(_side(difference, 0.0) + 1) / 2 for difference in margins]
            found[margin] = [*margins]
        found["chosen_logp"], found["rejected_logp"] = [*per_token("chosen")], [*per_token("rejected")]
    elif "completion.logp" in columns and "label" in columns:
        for name, wanted in (("desirable_logp", True), ("undesirable_logp", False)):
            own = zip(per_token("completion"), columns["label"], strict=True)
            found[name] = [logp if label is wanted else None for logp, label in own]
    elif "completion.logp" in columns:
        found["completion_logp"] = [*per_token("completion")]
    return found


def _side(value: float, middle: float = 0.5) -> int:
    """1 above the middle, -1 below, 0 at it."""
    return (value > middle) - (value < middle)


def _of_prompts(hashes: Sequence[str], values: Sequence[float | None]) -> list[list[float | None]]:
    """[prompts][samples]: the values of each run of equal prompts."""
    return [[value for _, value in own] for _, own in groupby(zip(hashes, values, strict=True), lambda one: one[0])]
