"""Failures planted in a run, and the health rule that must stop it; each is what a user could do by mistake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PADDING = "version = 1\n\n\ndef score(completions):\n    return [min(len(text), 90) / 90 for text in completions]\n"


@dataclass(frozen=True)
class Planted:
    """One failure."""

    name: str
    plant: Callable[[Path], list[str]]
    """Changes a project, and answers what is typed."""
    rule: str
    where: str
    """The earliest place that can catch it."""
    last_step: int
    """The step by which it must have stopped."""


def typed(*arguments: str) -> Callable[[Path], list[str]]:
    """Nothing is changed in the project."""
    return lambda project: list(arguments)


def gamed(project: Path) -> list[str]:
    """Length is paid for, and whether the sum is right is only watched."""
    (project / "rewards/padding.py").write_text(PADDING)
    (project / "conf/reward/padding.yaml").write_text("terms: {padding: {file: rewards/padding.py}}\n")
    rules = "health.rules.truncated.stop=null"  # the longest completions are cut: the other thing wrong with it
    return ["reward=correct+padding", "reward.terms.correct.weight=0", rules, "health.rules.reward_hacking.stop=0.5"]


PREFERENCES = ("method=dpo", "dataset=arithmetic_preferences")
PLANTED = [
    Planted("completion limit of 8", typed("method.max_completion_length=8"), "truncated", "while training", 10),
    Planted("learning rate of 10", typed("method.learning_rate=10"), "weights_jump", "step 1", 1),
    Planted("learning rate of 10, dpo", typed(*PREFERENCES, "method.learning_rate=10"), "weights_jump", "step 2", 2),
    Planted("frozen adapter", typed("method.learning_rate=1e-12"), "frozen_adapter", "while training", 5),
    Planted("temperature of 0.01", typed("method.temperature=0.01"), "entropy_collapse", "while training", 8),
    Planted(
        "policy runs from its reference",
        typed("method.beta=0.04", "method.learning_rate=0.05"),
        "kl_spike",
        "while training",
        6,
    ),
    Planted("gamed reward", gamed, "reward_hacking", "while training", 35),
]


def term(code: str, low: str, high: str) -> Callable[[Path], list[str]]:
    """A reward whose scores are this expression; it tells two completions of two prompts apart, as its cases say."""

    def plant(project: Path) -> list[str]:
        cases = [{"prompt": text, "completion": text, "score": n} for n, text in enumerate((low, high))]
        text = f"version = 1\n\n\ndef score(prompts, completions):\n    return {code}\n\n\ncases = {cases}\n"
        (project / "rewards/planted.py").write_text(text)
        (project / "conf/reward/planted.yaml").write_text("terms: {planted: {file: rewards/planted.py}}\n")
        return ["reward=planted"]

    return plant


BY_PROMPT = term("[float('7' in prompt) for prompt in prompts]", "1", "7")
OUT_OF_REACH = term("[float('%%' in text) for text in completions]", "1", "%%")
ENDS_AT_ONCE = "method.generation_kwargs={sequence_bias: [[[2], 100.0]]}"
SMOKED = [
    Planted("same reward within a group", BY_PROMPT, "smoke.variance", "smoke", 0),
    Planted("reward out of reach", OUT_OF_REACH, "smoke.all_zero", "smoke", 0),
    Planted("the model says nothing", typed(ENDS_AT_ONCE), "smoke.empty", "smoke", 0),
    Planted("completion limit of 4", typed("method.max_completion_length=4"), "smoke.truncated", "smoke", 0),
    Planted("frozen adapter", typed("method.learning_rate=1e-12"), "smoke.adapter_moved", "smoke", 0),
    Planted("learning rate of 10", typed("method.learning_rate=10"), "smoke.finite", "smoke", 0),
    Planted("learning rate of 10, dpo", typed(*PREFERENCES, "method.learning_rate=10"), "smoke.finite", "smoke", 0),
]
"""What the smoke steps see before the run takes its first."""
