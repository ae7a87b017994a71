"""Completions are sampled and scored: reward, accuracy, pass@k, length, truncation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rlexp.backend import dataset
from rlexp.backend.prompts import prefill_of, prompt_of
from rlexp.compose.run import Run
from rlexp.compose.task_run import Settled
from rlexp.errors import RunError
from rlexp.evaluate.answers import answer_of
from rlexp.evaluate.candidates import Candidate
from rlexp.evaluate.sampler import Sampling
from rlexp.evaluate.statistics.metrics import majority_at_k, pass_at_k, pass_hat_k
from rlexp.evaluate.subjects import Subject
from rlexp.evaluate.work import Work
from rlexp.inputs.messages import prompt_hash
from rlexp.reward.rubric import READ, Rubric, text_of

IDS = "completion_ids"
SCORE = "score."
"""Stands before the name of a term in the stored samples."""

SAMPLED = {
    **{"row": "int64", "prompt_sha256": "string", "sample": "int64", "prompt": "string", "completion": "string"},
    **{"tokens": "int64", "truncated": "bool", "prefill": "string", "token_ids": "list<element: int64>"},
}
"""The columns of a table that sampling fills, and Arrow's types of them."""
COLUMNS = {**SAMPLED, "reward": "double"}
"""Those of a table that was stored."""

Scores = dict[str, list[list[float | None]]]
"""Metric -> [prompts][samples]."""


def require(work: Work, subjects: Sequence[Subject]) -> None:
    """Checks whether the task can be measured of the subjects, before anything is loaded.

    Raises:
        RunError: a term reads token ids, which an endpoint does not tell.
    """
    needs = [name for name, source in work.inputs.rewards.items() if IDS in source.reads and IDS not in source.optional]
    if needs and (urls := [one.name for one in subjects if one.url]):
        raise RunError(
            f"the reward {needs[0]} reads token ids, which an endpoint does not tell",
            where=urls[0],
            hint="evaluate a task whose scorer reads texts: write scorer: format+correct in eval/NAME.yaml",
        )


def measure(work: Work, candidate: Candidate) -> Any:
    """Samples and scores the task's rows.

    Returns:
        A ``pyarrow.Table``, a row a completion, those of a prompt one after the other.
    """
    import pyarrow as pa

    run, task = work.settled.on(candidate.subject.run), work.settled.named.task
    rows = _rows(work, candidate.subject.run)
    how = Sampling(work.settled.held_out.max_new_tokens, work.settled.held_out.temperature, task.top_p, task.top_k)
    prefill = prefill_of(run, candidate.tokenizer, work.inputs, rows) if candidate.tokenizer else ""
    assert work.workers
    rubric = Rubric(run.reward, work.inputs.rewards, work.workers, prefill=prefill)
    n, part = task.samples, max(1, candidate.part // task.samples)
    tables = []
    for start in range(0, len(rows), part):
        some = rows.select(range(start, min(start + part, len(rows))))
        prompts = [prompt_of(row) for row in some]
        # Random numbers of its own for every part: prompt after prompt is not sampled with the same ones.
        groups = candidate.sampler.sample(prompts, n, how, work.seed + start)
        sampled = [one for group in groups for one in group]
        said = {
            "row": _repeated(work.rows[start : start + part], n),
            "prompt_sha256": _repeated([prompt_hash(prompt) for prompt in prompts], n),
            "sample": list(range(n)) * len(prompts),
            "prompt": _repeated([text_of(prompt) for prompt in prompts], n),
            "completion": [one.text for one in sampled],
            "tokens": pa.array([one.length for one in sampled], pa.int64()),
            "truncated": pa.array([one.truncated for one in sampled], pa.bool_()),
            "prefill": [prefill] * len(sampled),
            "token_ids": pa.array([one.token_ids for one in sampled], pa.list_(pa.int64())),
        }
        tables.append(_scored(work, rubric, some, n, said))
        work.done(min(start + part, len(rows)))
    return pa.concat_tables(tables)


def rescored(work: Work, run: Run, table: Any) -> Any:
    """Samples that were stored, scored by the rewards of ``work`` instead.

    Args:
        run: of the subject.
        table: what ``measure`` answered for the same rows.
    """
    assert work.workers
    said, n = {name: table.column(name) for name in SAMPLED}, work.settled.named.task.samples
    prefill = str(said["prefill"][0]) if table.num_rows else ""
    rubric = Rubric(work.settled.reward, work.inputs.rewards, work.workers, prefill=prefill)
    return _scored(work, rubric, _rows(work, run), n, said)


def _rows(work: Work, run: Run) -> Any:
    """The rows that are measured, as the run's model is asked."""
    task, of_task = work.settled.named.task, work.settled.on(run)
    return dataset.load(of_task, work.inputs.data, task.split.name, work.rows, work.inputs.wanted_columns)


def _scored(work: Work, rubric: Rubric, rows: Any, n: int, said: dict[str, Any]) -> Any:
    """A table of samples with their scores, and what the rewards read of the rows."""
    import pyarrow as pa

    read = {name for source in work.inputs.rewards.values() for name in source.wanted_columns}
    columns = {name: _repeated(rows[name], n) for name in rows.column_names if name in read}
    ids = pa.table(said).column("token_ids").to_pylist()
    if any(ids):  # an endpoint tells none
        columns["completion_ids"] = ids
    texts = pa.table(said).column("completion").to_pylist()
    batch = rubric.score(texts, _repeated([prompt_of(row) for row in rows], n), columns, n)
    return pa.table(
        {
            **{name: said[name] for name in SAMPLED if name != "token_ids"},
            **{f"{SCORE}{name}": pa.array(values, pa.float64()) for name, values in batch.scores.items()},
            "reward": pa.array(batch.rewards, pa.float64()),
            **{f"{READ}{name}": values for name, values in batch.columns.items() if name != "completion_ids"},
            "token_ids": said["token_ids"],
        }
    )


def scores(settled: Settled, table: Any) -> Scores:
    """The metrics of the stored samples; pure.

    Returns:
        ``reward``, each term, ``accuracy``, ``pass@k``, ``pass^k``, ``majority@k`` (of a task that says what is right),
        ``tokens``, ``truncated``, ``empty``: metric -> [prompts][samples]; those over several samples have one value.
    """
    task = settled.named.task
    groups = _groups(table.column("prompt_sha256").to_pylist())
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    found: Scores = {"reward": _grouped(columns["reward"], groups)}
    for name in settled.reward.terms:
        if f"{SCORE}{name}" in columns:
            found[name] = _grouped(columns[f"{SCORE}{name}"], groups)
    if right := settled.right:
        judged = [_right(values, task.right_at) for values in found.get(right, [])]
        answers = _grouped([answer_of(text) for text in columns["completion"]], groups)
        if judged:
            found["accuracy"] = judged
            found |= _of_several(judged, answers, task.pass_at)
    found["tokens"] = _grouped(columns["tokens"], groups)
    found["truncated"] = _grouped([_number(value) for value in columns["truncated"]], groups)
    found["empty"] = _grouped([float(not text.strip()) for text in columns["completion"]], groups)
    return {name: values for name, values in found.items() if any(v is not None for group in values for v in group)}


def _of_several(judged: list[list[float | None]], answers: list[list[str]], ks: Sequence[int]) -> Scores:
    found: Scores = {}
    most = min((len(group) for group in judged), default=0)
    for k in sorted({k for k in ks if 1 < k <= most}):
        known = [[value for value in group if value is not None] for group in judged]
        counts = [(len(group), round(sum(group))) for group in known]
        found[f"pass@{k}"] = [[pass_at_k(n, c, k) if n >= k else None] for n, c in counts]
        found[f"pass^{k}"] = [[pass_hat_k(n, c, k) if n >= k else None] for n, c in counts]
        found[f"majority@{k}"] = [
            [majority_at_k(said, values, k) if None not in values else None]
            for said, values in zip(answers, judged, strict=True)
        ]
    return found


def _right(values: Sequence[float | None], at: float) -> list[float | None]:
    return [None if value is None else float(value >= at - 1e-9) for value in values]


def _number(value: bool | None) -> float | None:
    return None if value is None else float(value)


def _repeated(values: Sequence[Any], n: int) -> list[Any]:
    return [value for value in values for _ in range(n)]


def _groups(prompts: Sequence[str]) -> list[tuple[int, int]]:
    """(first, behind the last) of each prompt, whose rows stand together."""
    starts = [n for n, prompt in enumerate(prompts) if n == 0 or prompt != prompts[n - 1]]
    return list(zip(starts, [*starts[1:], len(prompts)], strict=True))


def _grouped(values: Sequence[Any], groups: Sequence[tuple[int, int]]) -> list[list[Any]]:
    return [
        [None if isinstance(value, float) and math.isnan(value) else value for value in values[begin:end]]
        for begin, end in groups
    ]
