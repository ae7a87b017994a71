"""Pairs: whether their length alone tells the two answers apart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rlexp.preflight.data_quality.rows import Finding, Row, finding, share
from rlexp.verdict import Level

BIASED = 0.5
"""Cohen's d of the lengths from which a pair says more of length than of quality: a medium effect (Cohen, 1988)."""


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
