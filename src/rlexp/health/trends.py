"""Rules on what creeps: a reward that is gamed, a machine that slows down, memory that grows."""

from __future__ import annotations

import itertools
import math
import statistics

from rlexp.health.reading import Reading, Rule
from rlexp.health.window import FIRST, WatchedStep, Window

SIGMAS = 3
"""Standard errors that both sides of a hacked reward must have moved by."""
GROWN, PARTS = 0.05, 4
"""Memory that grew by less than this part is no trend, nor is one that did not grow in every part of the steps."""


def reward_hacking(window: Window, steps: int) -> Reading | None:
    """Share of the independent score that was lost while the trained reward rose; the worst of them.

    Independent are the terms of weight 0, on the held-out rows where ``held_out.every`` measures them, else on the
    training prompts; without such a term, the reward on the held-out rows.
    """
    steps = min(steps, FIRST)
    risen = _change(window, "reward", "reward_std", steps)
    if not window.facts.online or risen is None or risen[1] - risen[0] < SIGMAS * risen[2]:
        return None
    watched = [name for name, term in window.facts.reward.terms.items() if not term.weight]
    found = []
    for name in watched or ["reward"]:
        measured = [means[name] for _, means in window.held_out if name in means]
        if len(measured) > 2:
            was, now, where = measured[0], statistics.fmean(measured[-2:]), f"{name} on the held-out rows"
        elif watched and (fell := _change(window, f"rewards/{name}/mean", f"rewards/{name}/std", steps)):
            was, now, where = fell[0], fell[1], f"{name}, which is not trained on,"
            if was - now < SIGMAS * fell[2]:
                continue
        else:
            continue
        found.append(((was - now) / abs(was) if was else 0.0, was, now, where))
    if not found:
        return None
    lost, was, now, where = max(found)
    terms = [name for name, term in window.facts.reward.terms.items() if term.weight]
    return Reading(
        lost,
        f"the reward rose from {risen[0]:.3g} to {risen[1]:.3g} while {where} fell from {was:.3g} to {now:.3g}: it is "
        "being gamed",
        f"look at the best completions (python -m rlexp inspect RUN), and close the gap in {', '.join(terms)}",
    )


def throughput_falling(window: Window, steps: int) -> Reading | None:
    """The time of a token over that at the start; medians, and never the first steps, which compile."""
    rates = _seconds_a_token(window, list(window.first)[2:])
    last = _seconds_a_token(window, list(window.steps)[-steps - 1 :])
    if len(rates) < 5 or len(last) < steps or window.steps[-1].number < FIRST + steps:
        return None
    was, now = statistics.median(rates), statistics.median(last)
    return Reading(
        now / was,
        f"a token takes {now / was:.1f} times as long as in the first steps ({was:.2g} s then, {now:.2g} s now)",
        "look for other processes on the machine and at its temperature; slow rewards: python -m rlexp score",
    )


def memory_creeping(window: Window, steps: int) -> Reading | None:
    """Memory that will be wanted by the last step if it grows on like this, as a share of what there is."""
    known = [(step.number, step.memory) for step in window.steps if step.memory][-steps:]
    if len(known) < steps or not window.facts.memory:
        return None
    size = len(known) // PARTS
    # The least of each part: what is freed again is no growth, and what grew once is none that goes on.
    least = [min(memory for _, memory in known[n * size : (n + 1) * size]) for n in range(PARTS)]
    was, now = least[0], least[-1]
    if now - was < GROWN * was or any(two - one < (now - was) / 10 for one, two in itertools.pairwise(least)):
        return None
    each = (now - was) / (size * (PARTS - 1))
    wanted = each * (window.facts.max_steps - known[-1][0])
    began = next((step.memory for step in window.first if step.memory), was)
    free = window.facts.memory - (now - began)
    return Reading(
        wanted / free if free > 0 else math.inf,
        f"memory in use grows by {each / 2**20:.1f} MiB a step: {wanted / 2**30:.1f} GiB more by the last step, and "
        f"{max(free, 0) / 2**30:.1f} GiB are free",
        "look for a reward that keeps what it sees; save often (method.save_steps) so that the run can go on",
    )


def _change(window: Window, mean: str, spread: str, steps: int) -> tuple[float, float, float] | None:
    """(at the start, now, standard error of the difference) of a mean over prompts; None while they would overlap."""
    if not window.steps or window.steps[-1].number < 2 * steps:
        return None
    was, now = window.start(mean, steps), window.mean(mean, steps)
    groups = statistics.fmean([one.groups for one in window.sampled(1)] or [1])
    stds = [window.start(spread, steps) or 0.0, window.mean(spread, steps) or 0.0]
    if was is None or now is None:
        return None
    # Completions of one prompt go together: what is counted is prompts.
    return was, now, math.sqrt(sum(std**2 for std in stds) / (groups * steps))


def _seconds_a_token(window: Window, steps: list[WatchedStep]) -> list[float]:
    found = []
    for one, two in itertools.pairwise(steps):
        tokens = two.logs.get("num_tokens", math.nan) - one.logs.get("num_tokens", math.nan)
        if two.seconds and tokens > 0:
            found.append(two.seconds / tokens)
    return found


TRENDS = {
    "reward_hacking": Rule(
        reward_hacking,
        (
            "the reward can be had without doing the task: its check is weaker than what is meant",
            "the task's own term counts too little beside the others",
        ),
        ("reward", "kl", "entropy", "completions/mean_length"),
    ),
    "throughput_falling": Rule(
        throughput_falling,
        ("the machine is shared, hot or swapping", "the reward became slow", "the completions grew"),
        ("completions/mean_length", "num_tokens"),
    ),
    "memory_creeping": Rule(
        memory_creeping, ("a reward or callback keeps what it sees", "sequences grow longer"), ("num_tokens",)
    ),
}
