"""How large an evaluation must be: the smallest difference that so many prompts and samples can see, and the prompts
and samples for one that is wanted. Before anything is measured, by the range of the score alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from rlexp.compose.schema_eval import Kind
from rlexp.compose.task_run import EVERY_ROW, Settled
from rlexp.errors import RunError
from rlexp.evaluate.statistics.power import Before, detectable_before, prompts_before
from rlexp.evaluate.work import Work
from rlexp.inputs.reward_source import RewardSource

SEEN = 1 + NormalDist().inv_cdf(0.8) / NormalDist().inv_cdf(0.975)
"""What is seen at 80% power, in halves of a 95% interval (Miller, Adding Error Bars to Evals, 2024, section 5)."""
SAMPLES = (1, 2, 4, 8, 16)
"""Samples of a prompt that are tried where the prompts are too few."""


def bounds(settled: Settled, sources: Mapping[str, RewardSource]) -> tuple[float, float] | None:
    """The lowest and highest value of the metric that speaks for a task; None where nothing says them."""
    if settled.named.task.kind is Kind.pairs or settled.right:
        return 0.0, 1.0
    low = high = 0.0
    for name, term in settled.reward.terms.items():
        declared = sources[name].bounds if name in sources else None
        if declared is None:
            return None
        ends = sorted(end * term.weight for end in declared)
        low, high = low + ends[0], high + ends[1]
    return (low, high) if high > low else None


def before(settled: Settled, sources: Mapping[str, RewardSource], rows: int) -> Before | None:
    """The smallest difference that so many rows can see at 80% power, before anything is measured; None where the
    score has no known range."""
    found = bounds(settled, sources)
    return detectable_before(rows, settled.named.task.samples, *found) if found and rows > 1 else None


def after(differences: Sequence[Mapping[str, Any]], found: tuple[float, float] | None) -> float | None:
    """The same, by the interval of the first difference that is claimed: half of it is what chance does to 95%.

    Args:
        found: the lowest and highest value of the metric, where they are known.

    Returns:
        None where nothing was compared, nothing varied, or no difference that there can be would be seen.
    """
    first = next((one for one in differences if one["claimed"] and one["low"] is not None and one["error"]), None)
    if first is None:
        return None
    smallest = (first["high"] - first["low"]) / 2 * SEEN
    return smallest if found is None or smallest < found[1] - found[0] else None


def sized_all(work: Sequence[Work], want: float | None) -> list[Work]:
    """Each work with what a difference of ``want`` takes; one of lm-evaluation-harness has its own rows.

    Raises:
        RunError: as ``sized``.
    """
    own = Kind.lm_eval
    return [one if not want or one.settled.named.task.kind is own else sized(one, want) for one in work]


def unsized(work: Sequence[Work], want: float | None) -> list[str]:
    """The tasks that ``eval.want`` says nothing to."""
    return [one.name for one in work if want and one.settled.named.task.kind is Kind.lm_eval]


def sized(work: Work, want: float) -> Work:
    """The work with the prompts, and the samples of each, that a difference of ``want`` takes.

    Raises:
        RunError: the rows are too few, whatever the samples; or the score has no known range.
    """
    settled, task = work.settled, work.settled.named.task
    found = bounds(settled, work.inputs.rewards)
    if found is None:
        raise RunError(
            f"{work.name} is scored by a reward without a known range, so nothing says how large it must be",
            where="eval.want",
            hint=f"declare the range in the reward's file (docs/add-a-reward.md), or type eval.{work.name}.rows=NUMBER",
        )
    if want > found[1] - found[0]:
        hint = f"type eval.want=NUMBER, at most {(found[1] - found[0]) / 2:g} or so"
        what = f"{work.name} has scores from {found[0]:g} to {found[1]:g}, and no two can differ by {want:g}"
        raise RunError(what, where=f"eval.want={want:g}", hint=hint)
    tried = (1,) if task.kind is Kind.pairs else SAMPLES
    present = len(_with(work, EVERY_ROW, task.samples).rows)
    needed = [(n, int(prompts_before(want, n, *found).value)) for n in tried if n >= task.samples]
    fitting = [(n, prompts) for n, prompts in needed if prompts <= present]
    if not fitting:
        least = detectable_before(present, max(tried), *found).value
        raise RunError(
            f"{work.name} has {present} prompts to report on, and a difference of {want:g} takes more, whatever the "
            f"samples: {prompts_before(want, 1, *found).value:.0f} prompts sampled once would do",
            where=f"eval.want={want:g}",
            hint=f"type eval.want={_up(least)}, which {max(tried)} samples of each can see, or name a task with more "
            "rows",
        )
    samples, prompts = min(fitting, key=lambda pair: pair[0] * pair[1])
    return _with(work, prompts, samples)


def _with(work: Work, rows: int, samples: int) -> Work:
    settled = work.settled
    task = dataclasses.replace(settled.named.task, rows=rows, samples=samples)
    held_out = dataclasses.replace(settled.held_out, rows=rows)
    named = dataclasses.replace(settled.named, task=task)
    return dataclasses.replace(work, settled=dataclasses.replace(settled, named=named, held_out=held_out))


def _up(number: float) -> str:
    """Two digits, rounded up."""
    return f"{number * 1.005 + 0.0005:.3f}"
