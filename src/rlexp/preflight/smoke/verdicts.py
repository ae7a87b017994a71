"""The checks that smoke steps must pass before a run starts. Pure: facts in, verdicts out.

They ask for learning signals, never for a small loss: with beta=0 the loss of GRPO is 0 while all is well.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from itertools import chain
from typing import Any

from rlexp.preflight.smoke.facts import SmokeFacts, SmokeStep
from rlexp.verdict import Level, Verdict

CUT_ALL, CUT_MANY = 0.9, 0.5
"""Shares of completions that end at the limit: from the first nothing can be learned, from the second little."""
EMPTY_MOST, EMPTY_SOME = 0.5, 0.1
"""Shares of empty completions that fail, and that warn."""
FROZEN = 1e-8
"""Largest change of a weight that rounding could have made; the lowest usual learning rate moves more in ten steps."""
COLLAPSE_ERRORS = 4.0
"""The reward has collapsed where it fell by so many standard errors, and by more than it varies between completions."""
EXPLODED = 3.0
"""The loss has exploded where it ends at so many times what it began with."""
OVERFLOWS = "a 16-bit hardware.dtype overflows sooner"
BEFORE_LEARNING = (
    "the rows of that step, the base model, hardware.dtype",
    "nothing was learned yet, so the learning rate is not the cause: look at the longest rows (an answer without "
    f"tokens?) with python -m rlexp inspect, and at the model's weights; {OVERFLOWS}",
)
"""Where to look, and what for, where the first loss is no number."""
ANYWAY = "preflight.smoke=never trains without this check"


def verdicts(facts: SmokeFacts) -> list[Verdict]:
    """Every verdict on a smoke, the cause before what follows from it."""
    verdicts = [finite(facts)]
    if facts.online:
        verdicts += [empty(facts), truncated(facts), all_zero(facts), silent_terms(facts), variance(facts)]
    verdicts += [adapter_moved(facts), signal(facts)]
    if facts.online:
        verdicts.append(full_length(facts))
    return verdicts


def finite(facts: SmokeFacts) -> Verdict:
    """Rewards, losses, gradients and weights are numbers."""
    name = "smoke.finite"
    watched = ("loss", "grad_norm", "reward", "kl", "entropy")
    for number, step in enumerate(facts.steps, start=1):
        for key in watched:
            if key in step.logs and not math.isfinite(step.logs[key]):
                if number == 1 and key == "loss":
                    return Verdict(name, Level.failed, f"loss is {step.logs[key]} at smoke step 1", *BEFORE_LEARNING)
                return Verdict(
                    name,
                    Level.failed,
                    f"{key} is {step.logs[key]} at smoke step {number}",
                    "method.learning_rate, hardware.dtype",
                    f"type method.learning_rate={facts.learning_rate / 10:g}; {OVERFLOWS}",
                )
    if not facts.finite:
        return Verdict(
            name,
            Level.failed,
            "trained weights are no numbers any more after the smoke steps",
            "method.learning_rate, hardware.dtype",
            f"type method.learning_rate={facts.learning_rate / 10:g}; {OVERFLOWS}",
        )
    return Verdict(name, Level.passed, "every loss, reward and weight is a number")


def empty(facts: SmokeFacts) -> Verdict:
    """Completions have text."""
    count, whole = sum(step.empty for step in facts.sampled), sum(len(step.rewards) for step in facts.sampled)
    share = count / whole if whole else 0.0
    return Verdict(
        "smoke.empty",
        Level.failed if share >= EMPTY_MOST else Level.warning if share >= EMPTY_SOME else Level.passed,
        f"{count} of {whole} completions are empty",
        "the chat template, method.generation_kwargs",
        f"the model ends before it says anything: look at its generation prompt and end tokens; {ANYWAY}",
    )


def truncated(facts: SmokeFacts) -> Verdict:
    """Completions end by themselves, not all of them at the limit."""
    clipped = [s.logs["completions/clipped_ratio"] for s in facts.sampled if "completions/clipped_ratio" in s.logs]
    share = statistics.fmean(clipped) if clipped else 0.0
    limit = facts.full_length or 0
    return Verdict(
        "smoke.truncated",
        Level.failed if share >= CUT_ALL else Level.warning if share >= CUT_MANY else Level.passed,
        f"{share:.0%} of the completions were cut at method.max_completion_length={limit}",
        "method.max_completion_length",
        f"type method.max_completion_length={2 * limit} (with room for it in model.max_seq_length); {ANYWAY}",
    )


def all_zero(facts: SmokeFacts) -> Verdict:
    """Some completion earns something."""
    name, rewards = "smoke.all_zero", facts.rewards
    if rewards and any(rewards):
        return Verdict(name, Level.passed, f"rewards from {min(rewards):.3g} to {max(rewards):.3g}")
    counted = sum(len(step.rewards) for step in facts.sampled)
    message = (
        f"all {counted} rewards are 0" if rewards else f"no term of the reward applied to any of {counted} completions"
    )
    return Verdict(
        name,
        Level.failed,
        f"{message}: nothing tells a better completion from a worse one",
        "reward",
        "begin with a term that the model sometimes meets (reward=format), a larger model, or more tries: type "
        f"method.num_generations={2 * facts.num_generations}; {ANYWAY}",
    )


def silent_terms(facts: SmokeFacts) -> Verdict:
    """Every term of the reward earns something: one that is always 0 teaches nothing yet."""
    name = "smoke.silent_terms"
    if not any(facts.rewards):
        return Verdict(name, Level.skipped, "no reward but 0")
    scores: dict[str, list[float]] = {}
    for step in facts.sampled:
        for term, given in step.terms.items():
            scores.setdefault(term, []).extend(score for score in given if score is not None)
    silent = [
        f"{term} is 0 on all {len(given)} completions" if given else f"{term} applies to none of them"
        for term, given in scores.items()
        if not any(given)
    ]
    if not silent:
        return Verdict(name, Level.passed, "every term of the reward gives something")
    return Verdict(
        name,
        Level.warning,
        f"in the smoke {', '.join(silent)}",
        "reward.terms",
        "look at what it gives: python -m rlexp score; or begin with a term that the model sometimes meets",
    )


def variance(facts: SmokeFacts) -> Verdict:
    """At least one group has unequal rewards: the advantage is the difference from the group's mean."""
    name = "smoke.variance"
    if not any(facts.rewards):
        return Verdict(name, Level.skipped, "no reward but 0")
    unequal, groups = sum(s.unequal for s in facts.sampled), sum(s.groups for s in facts.sampled)
    if unequal:
        return Verdict(name, Level.passed, f"{unequal} of {groups} groups have unequal rewards")
    tried = sorted(set(facts.rewards))
    every = f", each of them {tried[0]:.3g}" if len(tried) == 1 else ""
    return Verdict(
        name,
        Level.failed,
        f"in every one of {groups} groups the {facts.num_generations} completions have equal rewards{every}: every "
        "advantage is 0",
        "reward, method.num_generations",
        "add a term that tells completions of one prompt apart, a higher method.temperature, or type "
        f"method.num_generations={2 * facts.num_generations}; {ANYWAY}",
    )


def adapter_moved(facts: SmokeFacts) -> Verdict:
    """The optimizer changed what it trains."""
    name = "smoke.adapter_moved"
    if facts.online and not any(step.unequal for step in facts.steps):
        return Verdict(name, Level.skipped, "there was no advantage to move it")
    moved = not facts.moved <= FROZEN
    return Verdict(
        name,
        Level.passed if moved else Level.failed,
        f"the trained weights moved by {facts.moved:.2g}"
        + ("" if moved else f" at most in {len(facts.steps)} steps, at method.learning_rate={facts.learning_rate:g}"),
        "method.learning_rate",
        f"type method.learning_rate={max(facts.learning_rate * 1000, 1e-5):g}; LoRA takes about 1e-5 to 1e-3 "
        "(with warmup_steps the first steps are smaller)",
    )


def signal(facts: SmokeFacts) -> Verdict:
    """The reward rises, or at least does not collapse; offline the loss is defined and does not explode."""
    name, hint = "smoke.signal", f"type method.learning_rate={facts.learning_rate / 10:g}; {ANYWAY}"
    if facts.online:
        rewards = [[reward for reward in step.rewards if reward is not None] for step in facts.sampled]
        first, last = ends([group for group in rewards if group])
        if not first or not last:
            return Verdict(name, Level.skipped, "no rewards")
        fell, error = statistics.fmean(first) - statistics.fmean(last), math.hypot(_error(first), _error(last))
        collapsed = fell > COLLAPSE_ERRORS * error and fell > statistics.pstdev(first)
        message = f"the reward went from {statistics.fmean(first):.3g} to {statistics.fmean(last):.3g}"
    else:
        losses = [[step.logs["loss"]] for step in facts.steps if "loss" in step.logs]
        first, last = ends(losses)
        if not first:
            return Verdict(name, Level.failed, "the trainer logged no loss", "method", "report this with the versions")
        one, two = statistics.fmean(first), statistics.fmean(last)
        collapsed = two - one > (EXPLODED - 1) * abs(one)
        message = f"the loss went from {one:.3g} to {two:.3g}"
    if collapsed:
        message += f" within {len(facts.steps)} steps"
    return Verdict(name, Level.failed if collapsed else Level.passed, message, "method.learning_rate", hint)


def full_length(facts: SmokeFacts) -> Verdict:
    """One step met completions of full length, so that the peak of memory was met."""
    message = f"completions of {facts.full_length} tokens were met"
    missed = f"no step met completions of {facts.full_length} tokens: the peak of memory may lie higher than stated"
    level = Level.passed if facts.full else Level.warning
    return Verdict("smoke.full_length", level, message if facts.full else missed, "method.generation_kwargs")


def ends(steps: list[list[float]]) -> tuple[list[float], list[float]]:
    """The values of the first third of the steps, and of the last."""
    third = max(1, len(steps) // 3)
    return list(chain.from_iterable(steps[:third])), list(chain.from_iterable(steps[-third:]))


def _error(values: list[float]) -> float:
    return statistics.pstdev(values) / len(values) ** 0.5


def summary(facts: SmokeFacts) -> dict[str, Any]:
    """The figures that a pass keeps of the facts, for people and for ``plan``."""
    seen: dict[str, Any] = {"steps": len(facts.steps), "moved": facts.moved}
    if facts.online:
        first, last = ends([[r for r in step.rewards if r is not None] for step in facts.sampled])
        groups = sum(step.groups for step in facts.sampled)
        seen |= {
            "reward": [_mean(first), _mean(last)],
            "unequal_groups": sum(step.unequal for step in facts.sampled) / groups if groups else 0.0,
            "tokens": _mean(_logged(facts.sampled, "completions/mean_length")),
            "cut": _mean(_logged(facts.sampled, "completions/clipped_ratio")),
            "full_length": facts.full_length if facts.full else None,
        }
    else:
        first, last = ends([[value] for value in _logged(facts.steps, "loss")])
        seen["loss"] = [_mean(first), _mean(last)]
    return seen


def _logged(steps: Iterable[SmokeStep], key: str) -> list[float]:
    return [step.logs[key] for step in steps if key in step.logs]


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
