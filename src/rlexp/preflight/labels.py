"""Checks of the labels of judged answers: both are there, and they weigh about the same."""

from __future__ import annotations

from rlexp.preflight.tokenizer_context import TokenizerContext
from rlexp.verdict import Level, Verdict

MOST = 1.33
"""Most that the good answers should weigh together, for 1 of the bad ones. Source: KTO, section 4.2, equation 8
(https://arxiv.org/abs/2402.01306), and the warning of TRL's KTO trainer."""


def labels(seen: TokenizerContext) -> Verdict:
    """Good and bad answers are there, in weights that KTO's authors advise."""
    name = "data.labels"
    if seen.labels is None:
        return Verdict(name, Level.skipped, "the rows have no labels")
    return balance(*seen.labels, seen.run.arguments["desirable_weight"], seen.run.arguments["undesirable_weight"])


def balance(good: int, bad: int, desirable: float, undesirable: float) -> Verdict:
    """The verdict on the labels of so many rows.

    Args:
        good: rows whose label is true.
        bad: the others.
        desirable: ``method.desirable_weight``.
        undesirable: ``method.undesirable_weight``.
    """
    name, counts = "data.labels", f"{good} of {good + bad} rows are labelled true, {bad} false"
    if not good or not bad:
        message = f"every row is labelled {'true' if good else 'false'}: kto learns from the difference of the two"
        hint = "add rows of the other label; for good answers alone: type method=sft dataset.type=prompt_completion"
        return Verdict(name, Level.failed, message, "the column label", hint)
    weight = good * desirable / (bad * undesirable)
    if good == bad or 1 <= round(weight, 2) <= MOST:
        return Verdict(name, Level.passed, f"{counts}; together they weigh {weight:.3g} to 1")
    message = f"{counts}: together they weigh {weight:.3g} to 1, advised is 1 to {MOST}"
    if weight > 1:
        hint = f"type method.undesirable_weight={undesirable * weight:.3g}"
    else:
        hint = f"type method.desirable_weight={desirable / weight:.3g}"
    return Verdict(name, Level.warning, message, "method.desirable_weight, method.undesirable_weight", hint)
