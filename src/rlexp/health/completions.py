"""Rules on what the model writes and what the reward says of it: the online methods."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable

from rlexp.health.reading import Reading, Rule
from rlexp.health.window import Sampled, Window
from rlexp.reward.combine import dominance

FEW_GROUPS = 40
"""Fewer groups than this may all be equal by chance, where the task is hard."""
SIGMAS = 4
"""Standard errors that a reward must have fallen by before it is said to have collapsed."""


def truncated(window: Window, steps: int) -> Reading | None:
    """Share of the completions that were cut at the limit."""
    share = window.mean("completions/clipped_ratio", steps)
    if share is None:
        return None
    limit = window.facts.max_completion_length
    reward, low, best = window.mean("reward", steps), window.facts.lowest, window.facts.best
    fine = reward is not None and low is not None and best is not None and reward - low >= (best - low) / 2
    return Reading(
        share,
        f"{share:.0%} of the completions were cut at {limit} tokens before they ended, over {steps} steps",
        f"type method.max_completion_length={2 * limit}, or ask for shorter answers in the prompt",
        may_stop=not fine,
    )


def empty_completions(window: Window, steps: int) -> Reading | None:
    """Share of the completions that hold no text."""
    return _share(
        window,
        steps,
        "empty",
        "of the completions were empty",
        "python -m rlexp inspect shows what the model sees; check that its chat template opens the answer, and lower "
        "method.learning_rate where they were not empty at the start",
    )


def repeated_completions(window: Window, steps: int) -> Reading | None:
    """Share of the completions that loop, or of the groups that hold one text only and are not solved by it."""
    seen = window.sampled(steps)
    if not seen:
        return None
    looping, copied = (statistics.fmean(getattr(one, name) for one in seen) for name in ("looping", "copied"))
    message = (
        f"{looping:.0%} of the completions repeat themselves"
        if looping >= copied
        else f"in {copied:.0%} of the groups all completions are the same text, and not the best one"
    )
    return Reading(
        max(looping, copied),
        f"{message}, over {steps} steps",
        "type method.temperature=1.0 where it is lower, a smaller method.learning_rate, or "
        "method.repetition_penalty=1.1",
    )


def all_zero(window: Window, steps: int) -> Reading | None:
    """Steps in a row, up to now, in which no completion scored more than the least."""
    least = window.facts.lowest or 0.0
    count = _in_a_row(window, lambda one: one.low == one.high <= least)
    return Reading(
        count,
        f"every completion of {count} steps scored {least:g}: there is nothing to learn from",
        "python -m rlexp inspect shows completions with their scores; start from an easier data set, a reward that "
        "also pays for a part of the way (reward=format+correct), or a larger model",
    )


def always_same_reward(window: Window, steps: int) -> Reading | None:
    """Steps since the first one, if every completion of all of them scored the same, and more than the least."""
    first = [step.sampled for step in window.first if step.sampled]
    if not first or first[0].high <= (window.facts.lowest or 0.0):
        return None
    same = first[0].high
    if any(one.low != same or one.high != same for one in first):
        return None
    count = _in_a_row(window, lambda one: one.low == one.high == same)
    return Reading(
        count,
        f"every completion of all {count} steps scored {same:g}: the reward tells none from another",
        "python -m rlexp score tries the reward on gold and on empty completions; if the task is solved already, take "
        "a harder one",
    )


def equal_rewards(window: Window, steps: int) -> Reading | None:
    """Share of the groups whose rewards are all the same, and not the best there is."""
    seen = window.sampled(steps)
    # All the same in every group is the matter of all_zero and always_same_reward.
    if not seen or all(one.low == one.high for one in seen):
        return None
    share, groups = statistics.fmean(one.equal for one in seen), sum(one.groups for one in seen)
    more = 2 * window.facts.num_generations
    return Reading(
        share,
        f"in {share:.0%} of {groups} groups every completion had the same reward, so they teach nothing "
        f"({steps} steps)",
        f"type method.num_generations={more}, a reward with steps between nothing and all, or prompts of mixed "
        "difficulty",
        may_stop=groups >= FEW_GROUPS,
    )


def reward_collapse(window: Window, steps: int) -> Reading | None:
    """Share of the best mean reward of the run that is gone; None while chance could do it."""
    now, best = window.mean("reward", steps), window.highest
    least = window.facts.lowest or 0.0
    if now is None or not math.isfinite(best) or best <= least:
        return None
    groups = statistics.fmean([one.groups for one in window.sampled(1)] or [1])
    spread = max(window.values("reward_std"), default=0.0)
    if best - now < SIGMAS * spread / math.sqrt(steps * groups):
        return None
    lost = (best - now) / (best - least)
    return Reading(
        lost,
        f"the reward was {best:.3g} and is {now:.3g} (mean of {steps} steps): {lost:.0%} of it is lost",
        f"type method.learning_rate={window.facts.learning_rate / 10:g}, and go on from the best checkpoint",
    )


def drowned_term(window: Window, steps: int) -> Reading | None:
    """Share of the reward's variance inside groups that one term makes up while another varies and hardly counts."""
    seen = window.sampled(steps)
    if not seen:
        return None
    spread = {name: statistics.fmean(one.variances.get(name, 0.0) for one in seen) for name in seen[0].variances}
    ranges = {name: max(one.ranges.get(name, 0.0) for one in seen) for name in spread} | window.facts.ranges
    found = dominance(spread, window.facts.reward, ranges)
    if not found or not found[2]:
        return None
    share, first, drowned = found
    return Reading(
        share,
        f"the term {first} makes up {share:.0%} of the variance of the reward inside groups, and {', '.join(drowned)} "
        "hardly counts",
        f"lower reward.terms.{first}.weight, or type reward.combine=normalize",
    )


def _share(window: Window, steps: int, name: str, message: str, hint: str) -> Reading | None:
    seen = window.sampled(steps)
    if not seen:
        return None
    share = statistics.fmean(getattr(one, name) for one in seen)
    return Reading(share, f"{share:.0%} {message}, over {steps} steps", hint)


def _in_a_row(window: Window, holds: Callable[[Sampled], bool]) -> int:
    seen = (step.sampled for step in window.newest_first() if step.sampled)
    return sum(1 for _ in itertools.takewhile(holds, seen))


REWARD = ("reward", "reward_std", "frac_reward_zero_std")
LENGTH = ("completions/clipped_ratio", "completions/mean_length", "completions/max_length")
ROLLOUTS = {
    "truncated": Rule(
        truncated,
        ("the completion limit is below what an answer needs", "the model does not end its answers (no end token)"),
        (*LENGTH, "reward"),
    ),
    "empty_completions": Rule(
        empty_completions,
        (
            "the model ends its turn at once: the template already closes the answer, or its end token was rewarded",
            "the learning rate is too high",
        ),
        (*LENGTH, "reward", "entropy"),
    ),
    "repeated_completions": Rule(
        repeated_completions,
        ("the sampling temperature is too low", "the policy has collapsed: too high a learning rate, no KL term"),
        ("entropy", *REWARD, *LENGTH),
    ),
    "all_zero": Rule(
        all_zero,
        (
            "the reward looks for something the model never writes (its format, its tags)",
            "the wrong answer column, or answers in another form than the reward reads",
            "the task is too hard for this model",
        ),
        (*REWARD, *LENGTH),
    ),
    "always_same_reward": Rule(
        always_same_reward,
        ("the reward is constant, whatever is written", "the model solves this task already"),
        REWARD,
    ),
    "equal_rewards": Rule(
        equal_rewards,
        (
            "the prompts are too hard or too easy for this model",
            "the completions of a group are all alike: too low a temperature",
            "the reward knows only two values",
        ),
        (*REWARD, "entropy", "grad_norm"),
    ),
    "reward_collapse": Rule(
        reward_collapse,
        ("the learning rate is too high", "the reward or its sandbox broke while training", "no KL term holds it"),
        (*REWARD, "entropy", "kl", "grad_norm", *LENGTH),
    ),
    "drowned_term": Rule(drowned_term, ("the weights do not fit the spread of the terms",), REWARD),
}
