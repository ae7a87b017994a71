"""From the scores of the terms to one reward a completion. Pure; the same arithmetic that the trainer does.

Sources: the sum and the standardised sum are TRL's ``multi_objective_aggregation`` (GDPO,
https://huggingface.co/papers/2601.05242, for the latter).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rlexp.compose.schema import Combine, Reward

Scores = dict[str, list[float | None]]
"""Term -> one score a completion; None where the term does not apply."""

DOMINATES, HARDLY, VARIES = 0.95, 0.05, 0.05
"""A term dominates with this share of the variance; the others hardly count below that share, although they vary by
this part of their range."""


def weights(reward: Reward) -> list[float]:
    """TRL's reward_weights for the functions of the rubric: one a term; for a gate the terms are only watched, and the
    gated sum behind them is what is trained on."""
    own = [term.weight for term in reward.terms.values()]
    return [0.0] * len(own) + [1.0] if reward.combine is Combine.gate else own


def total(scores: Scores, reward: Reward) -> list[float | None]:
    """One reward a completion; None where no term applies.

    A term that does not apply is left out, with its weight. Under ``gate`` the other terms count only where the
    gate's term reaches ``gate_at``. ``normalize`` is logged as the plain sum: the trainer standardises.
    """
    names = [name for name in reward.terms if name in scores]
    rows = zip(*(scores[name] for name in names), strict=True)
    return [_total(dict(zip(names, row, strict=True)), reward) for row in rows]


def _total(row: dict[str, float | None], reward: Reward) -> float | None:
    held = row.get(reward.gate)
    if reward.combine is Combine.gate and (held is None or held < reward.gate_at):
        row = {reward.gate: held}
    applied = [(reward.terms[name].weight, score) for name, score in row.items() if score is not None]
    return sum(weight * score for weight, score in applied) if applied else None


def dominance(scores: Scores, reward: Reward, group_size: int, ranges: dict[str, float]) -> str | None:
    """What to say where one term makes up nearly all of the variance inside groups while others vary too.

    A term whose scores no longer vary has been learned: that the rest is decided by another term is as it should be.

    Args:
        scores: of whole groups, one after the other.
        group_size: completions a group.
        ranges: term -> highest minus lowest score that it gives.

    Returns:
        One sentence, or None.
    """
    names = [name for name, term in reward.terms.items() if term.weight and name in scores]
    if reward.combine is Combine.normalize or len(names) < 2:
        return None
    spread = {name: _variance_in_groups(scores[name], group_size) for name in names}
    parts = {name: reward.terms[name].weight ** 2 * spread[name] for name in names}
    whole = sum(parts.values())
    if not whole:
        return None
    first = max(parts, key=lambda name: parts[name])
    drowned = [
        name
        for name in names
        if parts[name] < HARDLY * whole and ranges.get(name) and spread[name] ** 0.5 > VARIES * ranges[name]
    ]
    if parts[first] < DOMINATES * whole or not drowned:
        return None
    return (
        f"the term {first} makes up {parts[first] / whole:.0%} of the variance of the reward inside groups, and "
        f"{', '.join(drowned)} hardly counts: lower reward.terms.{first}.weight, or reward.combine=normalize"
    )


def _variance_in_groups(scores: Sequence[float | None], group_size: int) -> float:
    """Mean over the groups of the variance inside each; scores that do not apply are left out."""
    found = []
    for start in range(0, len(scores), group_size):
        group = [score for score in scores[start : start + group_size] if score is not None]
        if len(group) > 1:
            found.append(statistics.pvariance(group))
    return statistics.fmean(found) if found else 0.0
