"""Did training reward and held-out measure part after the step that was chosen? Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlexp.evaluate.statistics.compare import paired

TRAINED = ("reward", "rewards/margins")
"""What training raises, as it is logged; the first that a run has."""
FEWEST = 3
"""Logged steps that a slope is told from."""
LEVEL = 0.05


def sentence(
    logged: Sequence[Mapping[str, Any]], measured: Mapping[int, Sequence[float | None]], chosen: int, metric: str
) -> str | None:
    """One sentence where the trained reward rose after the chosen step while the held-out measure fell; else None.

    Risen: the slope of the logged values over the steps from there on is above 0 (p below LEVEL). Fallen: the
    interval of the paired difference between the last measured step and the chosen one lies below 0.

    Args:
        logged: the entries of ``metrics.jsonl``.
        measured: step -> one value a row.
        metric: what was measured.
    """
    from scipy.stats import linregress

    last = max(measured)
    name = next((name for name in TRAINED if any(name in entry for entry in logged)), "")
    points = [(entry["step"], entry[name]) for entry in logged if name in entry and chosen <= entry["step"] <= last]
    if len({step for step, _ in points}) < FEWEST:
        return None
    fall = paired([[value] for value in measured[chosen]], [[value] for value in measured[last]])
    slope = linregress([step for step, _ in points], [value for _, value in points])
    if fall.mean is None or fall.low is None or fall.high is None or fall.high >= 0:
        return None
    if slope.slope <= 0 or not slope.pvalue < LEVEL:
        return None
    return (
        f"the trained {name} went on rising from step {chosen} to {last} while {metric} of the held-out rows fell by "
        f"{-fall.mean:.3f} ({-fall.high:.3f} to {-fall.low:.3f}): what is trained and what is measured disagree"
    )
