"""The page that a stopped run leaves: what was seen, what is likely behind it, and what to type. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rlexp.compose.schema import Limits
from rlexp.health.rules import RULES, Finding
from rlexp.health.window import Window
from rlexp.reward.rubric import Batch

SHOWN, LONGEST = 3, 600
"""Completions on the page, and the characters of each."""


def page(finding: Finding, window: Window, batches: Sequence[Batch], limits: Mapping[str, Limits]) -> str:
    """The page in Markdown.

    Args:
        finding: what stopped the run.
        window: the steps up to then.
        batches: the last completions; empty for an offline method.
        limits: of every rule.
    """
    rule, limit = RULES[finding.rule], limits[finding.rule]
    side = "at most" if rule.low_is_bad else "at least"
    parts = [
        f"# Stopped at step {finding.step} by the rule `{finding.rule}`",
        f"{finding.message[:1].upper()}{finding.message[1:]}.",
        f"The rule stops {side} {limit.stop:g}; it measured {finding.value:.3g} over {limit.steps} step(s).",
        "## The last steps",
        _table(window, rule.shows),
    ]
    completions = _telling(finding.rule, batches)
    if completions:
        parts += ["## Completions of the last step", *completions]
    parts += [
        "## Likely causes, the likeliest first",
        "\n".join(f"{number}. {cause}" for number, cause in enumerate(rule.causes, 1)),
        "## What to do",
        f"- {finding.hint}\n- `python -m rlexp inspect RUN step=last` shows the stored completions with their scores.",
        "## To go on all the same",
        f"Type `health.rules.{finding.rule}.stop=null` (this rule then only warns), or `health=off`. The weights of "
        "the last step are saved: `adapter/` (or `model/`) and the newest folder of `checkpoints/`.",
    ]
    return "\n\n".join(parts) + "\n"


def _table(window: Window, keys: Sequence[str]) -> str:
    steps = [step for step in window.steps if step.logs][-5:]
    found = [key for key in keys if any(key in step.logs for step in steps)]
    rows = ["| step | " + " | ".join(found) + " |", "|---:|" + "---:|" * len(found)]
    for step in steps:
        cells = [f"{step.logs[key]:.4g}" if key in step.logs else "" for key in found]
        rows.append(f"| {step.number} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _telling(rule: str, batches: Sequence[Batch]) -> list[str]:
    """Three completions: the shortest, the longest or the commonest where the rule is about that, else by reward."""
    rows = [(batch, n) for batch in batches for n in range(len(batch.completions))]
    common = Counter(batch.completions[n] for batch, n in rows)
    orders = {
        "truncated": lambda row: -len(row[0].completions[row[1]]),
        "empty_completions": lambda row: len(row[0].completions[row[1]]),
        "repeated_completions": lambda row: -common[row[0].completions[row[1]]],
    }
    if rule in orders:
        chosen = sorted(rows, key=orders[rule])[:SHOWN]
    else:
        ranked = sorted(rows, key=lambda row: row[0].rewards[row[1]] or 0.0)
        chosen = [ranked[place] for place in sorted({0, len(ranked) // 2, len(ranked) - 1})] if ranked else []
    return [_completion(batch, n) for batch, n in chosen]


def _completion(batch: Batch, n: int) -> str:
    def number(score: float | None) -> str:
        return "-" if score is None else f"{score:.3g}"

    scores = "  ".join(f"{name} {number(scores[n])}" for name, scores in batch.scores.items())
    text = batch.completions[n]
    shortened = text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} [...] {text[-LONGEST // 2 :]}"
    lines = [
        f"reward {number(batch.rewards[n])}  {scores}",
        f"prompt: {batch.prompts[n][:LONGEST]}",
        "",
        shortened or "(empty)",
    ]
    return "\n".join(f"    {line}" for line in "\n".join(lines).splitlines())
