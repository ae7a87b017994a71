"""Measures how hard each training prompt is: completions of the run's model, sampled and scored as training would."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from rlexp.backend.prompts import Dialogue, prompt_of, tools_of
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.evaluate.sampled import sampling
from rlexp.evaluate.sampler import Sampler
from rlexp.inputs.pass_rates import Rate, rate_of
from rlexp.reward.rubric import Rubric

SEQUENCES = 512
"""Completions that are sampled, then scored, before it is said how far it is."""


def distinct(rows: Any) -> list[tuple[Dialogue, list[int]]]:
    """Every prompt once, with the numbers of the rows that have it; in the order of the rows."""
    found: dict[str, tuple[Dialogue, list[int]]] = {}
    for number, row in enumerate(rows):
        prompt = prompt_of(row)
        key = json.dumps([prompt, {} if isinstance(prompt, str) else tools_of(prompt)], sort_keys=True, default=str)
        found.setdefault(key, (prompt, []))[1].append(number)
    return list(found.values())


def measure(
    run: Run,
    sampler: Sampler,
    rubric: Rubric,
    rows: Any,
    term: str,
    at: float,
    n: int,
    done: Callable[[int], None] = lambda prompts: None,
) -> list[Rate]:
    """Samples ``n`` completions of every prompt and scores them for each row that has it.

    Args:
        sampler: of the model.
        rows: a ``datasets.Dataset`` with ``prompt`` and the columns that the rewards read.
        term: the term of the reward that says what passes, from a score of ``at`` on.
        done: is told after every part how many prompts are done.

    Returns:
        The rate of each row. The same arguments give the same rates.

    Raises:
        RunError: the rows lack what the term reads.
    """
    prompts, how = distinct(rows), sampling(run)
    part = max(1, SEQUENCES // n)
    rates: list[Rate] = [Rate(0, 0)] * len(rows)
    for start in range(0, len(prompts), part):
        some = prompts[start : start + part]
        # Random numbers of its own for every part: prompt after prompt is not sampled with the same ones.
        sampled = sampler.sample([prompt for prompt, _ in some], n, how, run.seed + start)
        pairs = [(row, group) for (_, numbers), group in zip(some, sampled, strict=True) for row in numbers]
        scores = _scores(rubric, rows.select([row for row, _ in pairs]), [group for _, group in pairs], term, n)
        for (row, _), of_row in zip(pairs, scores, strict=True):
            rates[row] = rate_of(of_row, at)
        done(min(start + part, len(prompts)))
    return rates


def _scores(rubric: Rubric, rows: Any, groups: Sequence[Sequence[Any]], term: str, n: int) -> list[list[float | None]]:
    """The scores [rows][n] that one term gives."""
    answers = [answer for group in groups for answer in group]
    read = {name for source in rubric.sources.values() for name in source.wanted_columns}
    columns = {name: [v for v in rows[name] for _ in range(n)] for name in rows.column_names if name in read}
    columns["completion_ids"] = [answer.token_ids for answer in answers]
    prompts = [prompt for prompt in rows["prompt"] for _ in range(n)]
    scored = rubric.score([answer.text for answer in answers], prompts, columns, n).scores
    if term not in scored:
        raise RunError(
            f"the rows lack what the reward {term} reads: {', '.join(rubric.sources[term].columns)}",
            where=f"term={term}",
            hint="name another term of the reward, or choose another dataset",
        )
    return [scored[term][start : start + n] for start in range(0, len(answers), n)]
