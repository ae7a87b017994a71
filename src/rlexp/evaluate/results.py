"""What stored samples say: every metric with its interval, and the paired differences between subjects. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from rlexp.compose.task_run import Settled
from rlexp.evaluate.statistics.compare import holm, paired
from rlexp.evaluate.statistics.estimate import estimate

Scores = dict[str, list[list[float | None]]]
SHARES = ("accuracy", "pass@", "pass^", "majority@", "truncated", "empty", "win_rate", "judge_agrees")
"""How the metrics begin that lie between 0 and 1."""
HARNESS_SHARES = ("acc", "acc_norm", "exact_match")
"""Those of lm-evaluation-harness."""


def main_metric(settled: Settled, found: Sequence[str]) -> str:
    """The metric that speaks for a task: the one it names, else accuracy where something is right or wrong, else the
    reward, else the first."""
    wanted = settled.named.task.metric
    choices = [name for name in (wanted, "accuracy", "reward", "win_rate") if name and name in found]
    return choices[0] if choices else found[0]


def bounds_of(metric: str, declared: Mapping[str, tuple[float, float] | None]) -> tuple[float | None, float | None]:
    """The lowest and highest value of a metric; None where nothing says them.

    Args:
        declared: term -> those of its file.
    """
    if metric.startswith(SHARES) or metric.partition("/")[0] in HARNESS_SHARES:
        return 0.0, 1.0
    return declared.get(metric) or (None, None)


def estimates(scores: Scores, declared: Mapping[str, tuple[float, float] | None]) -> dict[str, dict[str, Any]]:
    """The mean of each metric with its interval, as JSON values."""
    return {name: plain(estimate(values, *bounds_of(name, declared))) for name, values in scores.items()}


def differences(
    settled: Settled, subjects: Mapping[str, Scores], declared: Mapping[str, tuple[float, float] | None]
) -> list[dict[str, Any]]:
    """The paired difference of every two subjects: of the main metric between all of them, which are the claims; of the
    other metrics against the first.

    Args:
        subjects: name -> its scores, over the same prompts.
        declared: term -> its lowest and highest score.
    """
    names = list(subjects)
    if len(names) < 2:
        return []
    metrics = list(dict.fromkeys(name for found in subjects.values() for name in found))
    main = main_metric(settled, metrics)
    found = []
    for metric in sorted(metrics, key=lambda name: name != main):
        for one, other in combinations(names, 2):
            both = metric in subjects[one] and metric in subjects[other]
            if both and (metric == main or one == names[0]):
                low, high = bounds_of(metric, declared)
                content = plain(paired(subjects[one][metric], subjects[other][metric], low=low, high=high))
                found.append({"metric": metric, "one": one, "other": other, "claimed": metric == main, **content})
    return found


def adjust(by_task: Mapping[str, list[dict[str, Any]]]) -> None:
    """Adds ``p_holm`` to every claim, of all tasks together."""
    claims = [one for rows in by_task.values() for one in rows if one["claimed"] and one["p"] is not None]
    for one, p in zip(claims, holm([claim["p"] for claim in claims]), strict=True):
        one["p_holm"] = p


def plain(found: Any) -> dict[str, Any]:
    """A dataclass of numbers as JSON values: NaN is null."""
    content = dataclasses.asdict(found)
    return {key: None if isinstance(value, float) and value != value else value for key, value in content.items()}
