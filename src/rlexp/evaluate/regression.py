"""What a training cost: the tasks of a suite named general that a subject does worse than what it began with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

GENERAL = "general"
"""The suite whose tasks were not trained."""


def forgotten(
    differences: Mapping[str, Sequence[Mapping[str, Any]]], general: Sequence[str], bases: Sequence[str]
) -> list[dict[str, Any]]:
    """The claimed paired differences from a base whose 95% interval lies below 0.

    Args:
        differences: task -> those of every two subjects (``results.differences``).
        general: the tasks that were not trained.
        bases: the subjects that others began with.

    Returns:
        task, subject, base, metric, and mean, low and high of the difference.
    """
    return [
        {
            **{"task": task, "subject": one["other"], "base": one["one"], "metric": one["metric"]},
            **{key: one[key] for key in ("mean", "low", "high")},
        }
        for task in general
        for one in differences[task]
        if one["claimed"] and one["one"] in bases and one["other"] not in bases
        if one["high"] is not None and one["high"] < 0
    ]
