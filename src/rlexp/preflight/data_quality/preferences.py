"""Pairs and judged answers: whether they can teach what they are meant to teach."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rlexp.preflight.data_quality.rows import Finding, Row, finding, share
from rlexp.verdict import Level

BIASED = 0.5
"""Cohen's d of the lengths from which a pair says more of length than of quality: a medium effect (Cohen, 1988)."""
BALANCED = (0.1, 0.9)
"""Share of desirable answers outside of which one side hardly counts."""


def length_bias(rows: Sequence[Row]) -> Finding:
    """Whether the chosen answers are longer, or shorter, than the rejected ones: Cohen's d of their characters."""
    name = "data.length_bias"
    pairs = [(len(row.replies[0]), len(row.replies[1])) for row in rows if len(row.replies) == 2]
    if len(pairs) < 2:
        return finding(name, Level.skipped, "there are no pairs")
    d = cohens_d([a for a, _ in pairs], [b for _, b in pairs])
    longer = sum(a > b for a, b in pairs)
    message = f"chosen is the longer one in {share(longer, len(pairs))}, Cohen's d {d:+.2f}"
    if abs(d) < BIASED:
        return finding(name, Level.passed, message)
    hint = "length alone tells them apart: balance the pairs, or watch the length of completions while it trains"
    return finding(name, Level.warning, message, hint)


def cohens_d(one: Sequence[float], other: Sequence[float]) -> float:
    """The difference of the means in pooled standard deviations; 0 where nothing varies and nothing differs.

    Source: J. Cohen, Statistical Power Analysis for the Behavioral Sciences (1988).
    """
    difference = statistics.fmean(one) - statistics.fmean(other)
    pooled = ((statistics.variance(one) + statistics.variance(other)) / 2) ** 0.5
    if pooled:
        return difference / pooled
    return 0.0 if not difference else float("inf") * (1 if difference > 0 else -1)


def equal_pairs(rows: Sequence[Row], rendered: Sequence[tuple[str, str]] | None) -> Finding:
    """Pairs whose sides are the same, as they stand or as the template writes them.

    Args:
        rendered: (chosen, rejected) of each row as the model reads them; None where there is no template.
    """
    name = "data.equal_pairs"
    sides = rendered or [(row.replies[0], row.replies[1]) for row in rows if len(row.replies) == 2]
    if not sides:
        return finding(name, Level.skipped, "there are no pairs")
    equal = [row for row, (chosen, rejected) in zip(rows, sides, strict=True) if chosen == rejected]
    as_read = " as the model reads them" if rendered else ""
    if not equal:
        return finding(name, Level.passed, f"chosen and rejected differ in each of {len(sides)} pairs{as_read}")
    message = f"chosen and rejected are the same{as_read} in {share(len(equal), len(sides))}"
    return finding(name, Level.failed, message, "leave them out: they teach nothing", equal)


def label_balance(rows: Sequence[Row]) -> Finding:
    """The share of desirable answers among judged ones."""
    name = "data.label_balance"
    labels = [row.label for row in rows if row.label is not None]
    if not labels:
        return finding(name, Level.skipped, "there is no column label")
    good = sum(labels)
    message = f"label is true in {share(good, len(labels))}"
    if good in (0, len(labels)):
        hint = "KTO learns from both: add rows of the other label"
        return finding(name, Level.failed, message, hint)
    low, high = BALANCED
    if low <= good / len(labels) <= high:
        return finding(name, Level.passed, message)
    hint = "weigh them: method.desirable_weight and method.undesirable_weight, so that both sides count alike"
    return finding(name, Level.warning, message, hint)
