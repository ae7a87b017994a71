"""The comparison before and after training: completions of held-out prompts, scored by the reward's terms.

The same prompts and the same seed before and after, so that only the weights differ.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlexp.backend.prompts import prompt_of
from rlexp.compose.run import Run
from rlexp.evaluate.sampler import Sampler, Sampling
from rlexp.reward.rubric import Rubric, source_name, text_of

HELD_OUT = "held_out/"
"""Stands before the name of a term in the logged held-out measurements."""


@dataclass(frozen=True)
class Measurement:
    """The completions and scores of one set of weights on the held-out prompts."""

    means: dict[str, float]
    """Mean score by term over the prompts it applies to, and of their combination as ``reward``; of a mixture these of
    each part too, as ``source/PART/TERM``."""
    errors: dict[str, float]
    """Standard error of each mean, over the prompts."""
    prompts: list[str]
    completions: list[str]
    rewards: list[float]
    """The combined reward of each completion; 0 where no term applies."""
    lengths: list[int]
    """The number of tokens of each completion."""
    scores: dict[str, list[float | None]]
    """Term, or ``reward`` -> one score a row; None where it does not apply or failed."""


@dataclass(frozen=True)
class Measured:
    """One set of weights, measured while it trains."""

    metric: str
    """The name of what checkpoints are chosen by."""
    values: list[float | None]
    """It, one a row, the same rows in the same order each time; None where a row has no score."""
    means: dict[str, float]
    """What is logged."""


def measure(run: Run, sampler: Sampler, rubric: Rubric, rows: Any) -> Measurement:
    """Samples one completion a row and scores it.

    Args:
        sampler: of the weights that are measured.
        rows: a ``datasets.Dataset`` with ``prompt`` and the columns the rewards read.

    Returns:
        Means over the rows. Terms whose columns the rows lack are left out.
    """
    prompts = [prompt_of(row) for row in rows]
    sampling = Sampling(run.held_out.max_new_tokens, run.held_out.temperature)
    sampled = [answers[0] for answers in sampler.sample(prompts, 1, sampling, run.seed)]
    completions, ids = [answer.text for answer in sampled], [answer.token_ids for answer in sampled]
    columns = {name: list(rows[name]) for name in rows.column_names if name != "prompt"}
    scored = rubric.score(completions, prompts, {**columns, "completion_ids": ids})
    named = {**scored.scores, "reward": scored.rewards}
    kept = {name: _applied(scores) for name, scores in {**named, **of_sources(named, scored.sources)}.items()}
    kept = {name: scores for name, scores in kept.items() if scores}
    return Measurement(
        means={name: statistics.fmean(values) for name, values in kept.items()},
        errors={name: statistics.pstdev(values) / len(values) ** 0.5 for name, values in kept.items()},
        prompts=[text_of(prompt) for prompt in prompts],
        completions=completions,
        rewards=[reward or 0.0 for reward in scored.rewards],
        lengths=[len(item) for item in ids],
        scores=named,
    )


def of_sources(
    scores: Mapping[str, Sequence[float | None]], sources: Sequence[str] | None
) -> dict[str, list[float | None]]:
    """The scores of each part of a mixture, as ``source/PART/NAME``; nothing of one data set.

    Args:
        sources: the part of each score; None of one data set.
    """
    found: dict[str, list[float | None]] = {}
    for part in sorted(set(sources or ())):
        for name, values in scores.items():
            found[source_name(part, name)] = [v for v, of in zip(values, sources or (), strict=True) if of == part]
    return found


def _applied(scores: list[float | None]) -> list[float]:
    return [score for score in scores if score is not None]
