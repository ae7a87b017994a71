"""Which checkpoint is chosen of those that were measured: the earliest within one standard error of the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlexp.errors import RunError

SPLITS = 2000
"""Halvings of the prompts that the optimism is averaged over."""


@dataclass(frozen=True)
class Chosen:
    """The choice among the measured steps."""

    step: int
    best: int
    """The step with the highest mean; of several the earliest."""
    candidates: tuple[int, ...]
    """Every step whose paired difference from the best is at most one standard error of it, in their order."""
    mean: float
    """Of the chosen step, over ``prompts``."""
    best_mean: float
    prompts: int
    """Those that have a value at every step that has any: the steps are compared on them."""
    optimism: float | None
    """How much ``best_mean`` is expected to overstate the best step for having been chosen: ``optimism``."""
    why: str
    """One plain sentence."""


def choose(measured: Mapping[int, Sequence[float | None]]) -> Chosen:
    """Chooses by the one-standard-error rule (Breiman et al., Classification and Regression Trees, 1984), paired.

    The earliest step whose mean difference from the best over the same prompts is at most one standard error of that
    difference. What changes all prompts alike is not in it, as it would be in the standard error of the best's mean.

    Args:
        measured: step -> a value a prompt (the mean of its samples), the prompts in the same order at every step; None
            where nothing was scored. Steps without any value are left out.

    Raises:
        RunError: no prompt has a value at every step that has any.
    """
    steps = sorted(step for step, values in measured.items() if any(value is not None for value in values))
    table = np.array([measured[step] for step in steps], dtype=float)  # [steps][prompts], nan where there is none
    if table.size:
        table = table[:, ~np.isnan(table).any(axis=0)]
    prompts = table.shape[1] if table.ndim == 2 else 0
    if not prompts:
        raise RunError(
            f"no prompt was scored at every measured step ({', '.join(map(str, steps)) or 'none'}): none can be chosen",
            where="held_out.every",
            hint="raise held_out.rows, or choose by a term that scores every completion",
        )
    means = table.mean(axis=1)
    best = int(means.argmax())
    behind = table[best] - table  # [steps][prompts]
    # One prompt says nothing of the noise: nobody is within it.
    errors = behind.std(axis=1, ddof=1) / np.sqrt(prompts) if prompts > 1 else np.zeros(len(steps))
    within = np.flatnonzero(behind.mean(axis=1) <= errors)
    chosen = int(within[0])
    if chosen == best:
        why = f"step {steps[best]} has the highest mean, {means[best]:.3f}"
        why += ", and no earlier step is within one paired standard error of it" if best else ""
    else:
        why = (
            f"step {steps[chosen]} ({means[chosen]:.3f}) is the earliest within one paired standard error "
            f"({errors[chosen]:.3f}) of the highest mean, {means[best]:.3f} at step {steps[best]}"
        )
    return Chosen(
        step=steps[chosen],
        best=steps[best],
        candidates=tuple(steps[place] for place in within),
        mean=float(means[chosen]),
        best_mean=float(means[best]),
        prompts=prompts,
        optimism=optimism(table),
        why=why,
    )


def optimism(table: NDArray[np.float64], splits: int = SPLITS) -> float | None:
    """How much the highest mean is expected to overstate its step for being the highest, from the paired noise.

    The prompts are halved at random many times (a bootstrap without replacement, always the same halves). The step
    that is best on one half is compared with itself on the other half, which did not choose it: what it loses is the
    optimism of a choice by half of the prompts, without bias. Noise falls with the root of the prompts, so that is
    scaled by the root of a half: right where the steps are alike, and somewhat too much where one stands out. The
    ordinary bootstrap takes differences that are noise for real ones and says too little
    (perf/results/*_winners_curse.md has both).

    Args:
        table: [steps][prompts] without gaps.

    Returns:
        In units of the score, at least 0; None of fewer than two prompts.
    """
    steps, prompts = table.shape
    if prompts < 2:
        return None
    if steps < 2:
        return 0.0
    half = prompts // 2
    order = np.random.default_rng(0).permuted(np.tile(np.arange(prompts), (splits, 1)), axis=1)
    chosen_by = np.zeros((splits, prompts))
    np.put_along_axis(chosen_by, order[:, :half], 1.0, axis=1)
    sums = chosen_by @ table.T  # [splits][steps]
    best = sums.argmax(axis=1)
    on_chosen = np.take_along_axis(sums, best[:, None], axis=1)[:, 0]
    on_other = (table.sum(axis=1)[best] - on_chosen) / (prompts - half)
    return max(0.0, float((on_chosen / half - on_other).mean() * np.sqrt(half / prompts)))
