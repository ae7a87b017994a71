"""The worth of a completion's reward beside its group's: the advantage that it is trained with. Pure.

Source: TRL 1.15, GRPOTrainer and RLOOTrainer (``_generate_and_score_completions``); a lone or inapplicable reward is
worth nothing there, as here. RLOO's own KL penalty (beta) is left out: it needs the model.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from rlexp.compose.run import Run
from rlexp.compose.schema import Combine
from rlexp.reward.combine import Scores

EPSILON = 1e-4
"""TRL adds it to a standard deviation before it divides by it."""
EQUAL = 1e-8
"""A standard deviation below it is none (torch.isclose with 0)."""


def advantages(run: Run, scores: Scores, rewards: Sequence[float | None]) -> list[float]:
    """One advantage for each completion; 0 where no term applies.

    Args:
        scores: of one optimizer step, whole groups of ``run.num_generations`` one after the other.
        rewards: their combination.
    """
    num_generations = run.num_generations
    if run.method.leave_one_out:
        found = [value for group in _groups(rewards, num_generations) for value in _left_out(group)]
        found = _standardised(found) if run.arguments["normalize_advantages"] else found
    elif run.reward.combine is Combine.normalize:
        found = _standardised(_normalized(run, scores, rewards))
    else:
        found = [value for group in _groups(rewards, num_generations) for value in _centred(group)]
        scale = run.arguments["scale_rewards"]
        spreads = [spread(rewards)] * len(found)
        if scale == "group":
            spreads = [value for group in _groups(rewards, num_generations) for value in [spread(group)] * len(group)]
        if scale != "none":
            found = [value / (deviation + EPSILON) for value, deviation in zip(found, spreads, strict=True)]
    return [0.0 if math.isnan(value) else value for value in found]


def spread(values: Sequence[float | None]) -> float:
    """The standard deviation of a sample, of what applies; nan of fewer than two."""
    applied = [value for value in values if value is not None and not math.isnan(value)]
    if len(applied) < 2:
        return math.nan
    mean = math.fsum(applied) / len(applied)  # statistics.stdev reckons with fractions, twenty times as long
    return math.sqrt(math.fsum((value - mean) ** 2 for value in applied) / (len(applied) - 1))


def no_signal(run: Run, scores: Scores, rewards: Sequence[float | None]) -> bool:
    """Says whether one group teaches nothing: its rewards are all equal (under ``normalize``: those of every term)."""
    if run.reward.combine is not Combine.normalize:
        return not spread(rewards) > EQUAL
    weighted = [values for name, values in scores.items() if run.reward.terms[name].weight]
    return not any(spread(values) > EQUAL for values in weighted)


def _groups(values: Sequence[float | None], num_generations: int) -> list[Sequence[float | None]]:
    return [values[start : start + num_generations] for start in range(0, len(values), num_generations)]


def _mean(values: Sequence[float | None]) -> float:
    applied = [value for value in values if value is not None and not math.isnan(value)]
    return statistics.fmean(applied) if applied else math.nan


def _centred(values: Sequence[float | None]) -> list[float]:
    mean = _mean(values)
    return [math.nan if value is None else value - mean for value in values]


def _standardised(values: Sequence[float | None]) -> list[float]:
    deviation = spread(values)
    return [value / (deviation + EPSILON) for value in _centred(values)]


def _left_out(group: Sequence[float | None]) -> list[float]:
    """Each reward less the mean of the others."""
    applied = [value for value in group if value is not None]
    if len(applied) < 2:
        return [math.nan] * len(group)
    whole, others = sum(applied), len(applied) - 1
    return [math.nan if value is None else value - (whole - value) / others for value in group]


def _normalized(run: Run, scores: Scores, rewards: Sequence[float | None]) -> list[float | None]:
    """The weighted sum of the terms, each standardised within its group first."""
    parts = []
    for name, values in scores.items():
        weight = run.reward.terms[name].weight
        parts.append([weight * v for group in _groups(values, run.num_generations) for v in _standardised(group)])
    sums = [sum(value for value in column if not math.isnan(value)) for column in zip(*parts, strict=True)]
    return [None if reward is None else value for reward, value in zip(rewards, sums, strict=True)]
