"""Rules on the weights, the gradient, the loss and the policy's distribution."""

from __future__ import annotations

import math
import statistics

from rlexp.health.reading import Reading, Rule
from rlexp.health.window import WatchedStep, Window

STILL = 1e-7
"""Weights that move by less than this part of their size in a step stand still: float32 resolves 6e-8."""
WATCHED = ("loss", "grad_norm", "reward", "entropy", "kl", "policy_loss", "rewards/margins", "nll_loss")
"""Logged values that are numbers in every healthy step. The mean of a term is not: it may apply to no completion."""


def not_finite(window: Window, steps: int) -> Reading | None:
    """The number of the last step's values that are not finite."""
    if not window.steps:
        return None
    last = window.steps[-1]
    names = [name for name in WATCHED if not math.isfinite(last.logs.get(name, 0.0))]
    if window.facts.scales_loss and names == ["grad_norm"]:
        names = []
    if last.moved is not None and not math.isfinite(last.moved):
        names.append("the trained weights")
    return Reading(
        len(names),
        f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} no finite number any more (step {last.number})",
        f"type method.learning_rate={window.facts.learning_rate / 10:g}; on a GPU hardware.dtype=bfloat16, or float32",
    )


def weights_jump(window: Window, steps: int) -> Reading | None:
    """By how many times their own size the trained weights moved in one step."""
    moved = window.steps[-1].moved if window.steps else None
    if moved is None or not math.isfinite(moved):
        return None
    rate = window.facts.learning_rate
    return Reading(
        moved,
        f"one step moved the trained weights by {moved:.3g} times their size, at a learning rate of {rate:g}",
        f"type method.learning_rate={min(rate / 10, rate / max(moved, 1e-9) / 20):.0e}",
    )


def frozen_adapter(window: Window, steps: int) -> Reading | None:
    """Steps in a row in which the weights stood still, although there was something to learn and a rate to learn at."""
    count = 0
    for step in window.newest_first():
        if not _should_move(window, step):
            continue
        if step.moved is None or not step.moved < STILL:
            break
        count += 1
    moved = next((step.moved for step in window.newest_first() if step.moved is not None), 0.0)
    gradient = (window.values("grad_norm", 1) or [0.0])[0]
    if not gradient and not any(window.values("rewards/margins", count) or [1.0]):
        said = f"the weights have not moved in {count} steps: every pair's margin is 0, its two answers read the same"
        return Reading(count, said, "look at the pairs as the chat template renders them: python -m rlexp inspect")
    cause = (
        "no gradient reaches them" if not gradient else f"the learning rate of {window.facts.learning_rate:g} is lost"
    )
    return Reading(
        count,
        f"the trained weights have not moved in {count} steps (by {moved:.0e} of their size), although there was a "
        f"signal: {cause}",
        "type model.lora.target_modules=[q_proj,v_proj], and check that these layers exist"
        if not gradient
        else "type a larger method.learning_rate: 1e-5 to 1e-3 is usual for an adapter",
    )


def gradient_explosion(window: Window, steps: int) -> Reading | None:
    """The last gradient's norm, in medians of those before it."""
    norms = [norm for norm in window.values("grad_norm", steps + 1) if norm > 0]
    if len(norms) < 4:
        return None
    usual, last = statistics.median(norms[:-1]), norms[-1]
    return Reading(
        last / usual,
        f"the gradient's norm is {last:.3g}, {last / usual:.0f} times its median of the {len(norms) - 1} steps before",
        f"type method.learning_rate={window.facts.learning_rate / 10:g}, or a smaller method.max_grad_norm",
    )


def loss_explosion(window: Window, steps: int) -> Reading | None:
    """The loss in units of what it was at the start; of an online method the loss says nothing (0 is healthy)."""
    start, now = window.start("loss", 2), window.mean("loss", steps)
    if window.facts.online or start is None or now is None or start <= 0 or now < start + 0.5:
        return None
    return Reading(
        now / start,
        f"the loss was {start:.3g} and is {now:.3g}, {now / start:.1f} times as much (mean of {steps} steps)",
        f"type method.learning_rate={window.facts.learning_rate / 10:g}",
    )


def entropy_explosion(window: Window, steps: int) -> Reading | None:
    """The policy's entropy as a share of that of guessing; None where it has not at least doubled."""
    start, now = window.start("entropy", 1), window.mean("entropy", steps)
    if start is None or now is None or now < 2 * start or window.facts.vocabulary < 2:
        return None
    share = now / math.log(window.facts.vocabulary)
    return Reading(
        share,
        f"the entropy was {start:.3g} nats a token and is {now:.3g}, {share:.0%} of that of guessing any of "
        f"{window.facts.vocabulary} tokens",
        f"type method.learning_rate={window.facts.learning_rate / 10:g}",
    )


def entropy_collapse(window: Window, steps: int) -> Reading | None:
    """The policy's entropy in nats a token; None where the task is all but solved."""
    start, now = window.start("entropy", 1), window.mean("entropy", steps)
    if not window.facts.online or start is None or now is None or window.solved(window.mean("reward", steps)):
        return None
    return Reading(
        now,
        f"the entropy is {now:.2g} nats a token (at the start {start:.2g}): the completions of a group are all "
        "alike, and nothing new is tried",
        "type method.temperature=1.0 where it is lower, a smaller method.learning_rate, or method.epsilon_high=0.28",
    )


def kl_spike(window: Window, steps: int) -> Reading | None:
    """KL between policy and reference model, in nats a token. KTO logs another quantity under this name."""
    now = window.mean("kl", steps)
    if not window.facts.online or now is None:
        return None
    return Reading(
        now,
        f"the policy is {now:.3g} nats a token away from the reference model (mean of {steps} steps)",
        f"type method.learning_rate={window.facts.learning_rate / 10:g}, or method.beta={2 * window.facts.beta:g}",
    )


def ratio_explosion(window: Window, steps: int) -> Reading | None:
    """Share of the tokens whose probability ratio was clipped."""
    key = "clip_ratio/region_mean" if window.values("clip_ratio/region_mean") else "cispo_clip_ratio"
    share = window.mean(key, steps)
    if share is None:
        return None
    return Reading(
        share,
        f"the probability of {share:.0%} of the tokens left the trusted range, so they were clipped ({steps} steps)",
        "type method.num_iterations=1 and method.off_policy_steps=0 where they are more, or "
        f"method.learning_rate={window.facts.learning_rate / 10:g}",
    )


def engine_mismatch(window: Window, steps: int) -> Reading | None:
    """Mean difference of the log-probabilities that the engine sampled with and those that the trainer computes."""
    difference = window.mean("sampling/sampling_logp_difference/mean", steps)
    if difference is None:
        return None
    ratio = (window.values("sampling/importance_sampling_ratio/mean", 1) or [math.nan])[0]
    return Reading(
        difference,
        f"vLLM and the trainer differ by {difference:.2g} nats a token (mean importance ratio {ratio:.2g}): what is "
        "sampled is not the policy that learns",
        "type rollout=generate to compare; top_p=1, top_k=0 and min_p=null; the same dtype in both",
    )


def wrong_preference(window: Window, steps: int) -> Reading | None:
    """Share of the pairs in which the rejected side is preferred; for KTO, of the steps with a negative margin."""
    margins = [step for step in window.steps if step.logs.get("rewards/margins")]  # 0 before anything moved
    last = margins[-steps:]
    start = [step.logs["rewards/margins"] for step in window.first if "rewards/margins" in step.logs]
    if len(last) < steps:
        return None
    now = statistics.fmean(step.logs["rewards/margins"] for step in last)
    if now >= min(0.0, start[0]):
        return None
    wrong = [1 - step.logs.get("rewards/accuracies", float(step.logs["rewards/margins"] > 0)) for step in last]
    share = statistics.fmean(wrong)
    return Reading(
        share,
        f"the margin between chosen and rejected is {now:.3g} and falling; {share:.0%} are the wrong way round",
        "look whether chosen and rejected are swapped in the data; type a smaller method.learning_rate",
    )


def likelihood_displacement(window: Window, steps: int) -> Reading | None:
    """By what part of its size the chosen completions' log-probability fell, where that of the rejected fell too."""
    chosen, rejected = window.mean("logps/chosen", steps), window.mean("logps/rejected", steps)
    was, other = window.start("logps/chosen", 5), window.start("logps/rejected", 5)
    if chosen is None or rejected is None or not was or other is None or chosen >= was or rejected >= other:
        return None
    fell = (was - chosen) / abs(was)
    return Reading(
        fell,
        f"the chosen completions became less likely too: their log-probability was {was:.3g} and is {chosen:.3g}",
        "type a larger method.beta, a smaller method.learning_rate, or method=orpo, which keeps the chosen ones likely",
    )


def _should_move(window: Window, step: WatchedStep) -> bool:
    rate, facts = step.logs.get("learning_rate"), window.facts
    if rate is None or rate < facts.learning_rate / 10:  # warming up, or at the end of its schedule
        return False
    if not facts.online:
        return True
    return step.sampled is not None and any(step.sampled.variances.values())


RATE = "the learning rate is too high"
POLICY = ("loss", "grad_norm", "learning_rate", "entropy", "kl", "reward")
PAIRS = ("loss", "rewards/margins", "rewards/accuracies", "logps/chosen", "logps/rejected", "grad_norm")
OPTIMISATION = {
    "not_finite": Rule(
        not_finite, (RATE, "float16 overflowed", "a division by zero in a loss option"), (*POLICY, "rewards/margins")
    ),
    "weights_jump": Rule(weights_jump, (RATE, "the schedule multiplies it"), POLICY),
    "frozen_adapter": Rule(
        frozen_adapter,
        (
            "the learning rate is below what the weights' type resolves",
            "the adapter sits on layers that no gradient reaches",
            "the trained parameters are not those in the optimizer",
        ),
        ("learning_rate", "grad_norm", "loss", "reward", "reward_std"),
    ),
    "gradient_explosion": Rule(gradient_explosion, (RATE, "one broken batch of data"), POLICY),
    "loss_explosion": Rule(loss_explosion, (RATE, "one broken batch of data"), (*PAIRS, "learning_rate")),
    "entropy_explosion": Rule(entropy_explosion, (RATE, "no KL term holds the policy"), POLICY),
    "entropy_collapse": Rule(
        entropy_collapse,
        ("the sampling temperature is too low", RATE, "the reward pays for one text only"),
        (*POLICY, "frac_reward_zero_std"),
        low_is_bad=True,
    ),
    "kl_spike": Rule(kl_spike, (RATE, "beta is too small to hold the policy"), POLICY),
    "ratio_explosion": Rule(
        ratio_explosion, ("too many passes over one batch", RATE), (*POLICY, "clip_ratio/region_mean")
    ),
    "engine_mismatch": Rule(
        engine_mismatch,
        (
            "sampling options (top_p, top_k, min_p) that the trainer's log-probabilities do not know",
            "the engine holds other weights or another precision than the trainer",
        ),
        ("sampling/sampling_logp_difference/mean", "sampling/importance_sampling_ratio/mean", "reward", "kl"),
    ),
    "wrong_preference": Rule(wrong_preference, ("chosen and rejected are swapped in some rows", RATE), PAIRS),
    "likelihood_displacement": Rule(
        likelihood_displacement, ("chosen and rejected are nearly the same text", "beta is too small", RATE), PAIRS
    ),
}
