"""From the scores of the terms to one reward a completion. Pure; the same arithmetic that the trainer does.

Sources: the sum and the standardised sum are TRL's ``multi_objective_aggregation`` (GDPO,
https://huggingface.co/papers/2601.05242, for the latter).
"""

from __future__ import annotations

from collections.abc import Sequence

from rlexp.compose.schema import Combine, Reward

Scores = dict[str, list[float | None]]
"""Term -> one score a completion; None where the term does not apply."""

HARDLY, VARIES = 0.05, 0.2
"""A term is drowned below this share of the variance, although its standard deviation is this part of its range."""


def weights(reward: Reward) -> list[float]:
    """TRL's reward_weights for the functions of the rubric: one for each term; for a gate the terms are only watched,
    and the gated sum behind them is what is trained on."""
    own = [term.weight for term in reward.terms.values()]
    return [0.0] * len(own) + [1.0] if reward.combine is Combine.gate else own


def total(scores: Scores, reward: Reward) -> list[float | None]:
    """One reward for each completion; None where no term applies.

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


def dominance(
    spread: dict[str, float], reward: Reward, ranges: dict[str, float]
) -> tuple[float, str, list[str]] | None:
    """(share, term, drowned terms) of the term with the largest share of the variance inside groups.

    Drowned are the terms that vary and hardly count. A term whose scores no longer vary has been learned: that the rest
    is decided by another term is as it should be. None where nothing varies, or terms are standardised.

    Args:
        spread: term -> variance inside groups (``variances``).
        ranges: term -> highest minus lowest score that it gives.
    """
    names = [name for name, term in reward.terms.items() if term.weight and name in spread]
    if reward.combine is Combine.normalize or len(names) < 2:
        return None
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
    return parts[first] / whole, first, drowned


def variances(scores: Scores, group_size: int) -> dict[str, float]:
    """Term -> mean over the groups of the variance inside each; scores that do not apply are left out.

    Args:
        scores: of whole groups, one after the other.
        group_size: completions a group.
    """
    return {name: _variance_in_groups(row, group_size) for name, row in scores.items()}


def _variance_in_groups(scores: Sequence[float | None], group_size: int) -> float:
    found = []
    for start in range(0, len(scores), group_size):
        group = [score for score in scores[start : start + group_size] if score is not None]
        if len(group) > 1:
            mean = sum(group) / len(group)
            found.append(sum((score - mean) ** 2 for score in group) / len(group))
    return sum(found) / len(found) if found else 0.0
