"""Every rule by name, and the judgement of a window by the limits of ``health.rules`` in conf. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rlexp.compose.schema import Limits
from rlexp.errors import RunError, nearest
from rlexp.health.completions import ROLLOUTS
from rlexp.health.optimisation import OPTIMISATION
from rlexp.health.reading import Rule
from rlexp.health.trends import TRENDS
from rlexp.health.window import Window
from rlexp.verdict import Level

FIRST_RULES = ("not_finite", "weights_jump")
"""Rules that name a cause, where the others only show its effects: of several that stop a run at one step, the first of
these is reported."""
RULES: dict[str, Rule] = {
    **{name: OPTIMISATION[name] for name in FIRST_RULES},
    **ROLLOUTS,
    **OPTIMISATION,
    **TRENDS,
}


@dataclass(frozen=True)
class Finding:
    """A rule past one of its limits."""

    rule: str
    level: Level
    """warning, or failed: the run stops."""
    step: int
    value: float
    message: str
    hint: str

    def to_json(self) -> dict[str, Any]:
        """The finding as a line of health.jsonl, which calls its message ``said``."""
        named = {"said" if name == "message" else name: value for name, value in asdict(self).items()}
        return named | {"level": "stop" if self.level is Level.failed else "warn"}

    @classmethod
    def of_json(cls, line: dict[str, Any]) -> Finding:
        """The finding of a line of health.jsonl."""
        named = {"message" if name == "said" else name: value for name, value in line.items()}
        return cls(**named | {"level": Level.failed if line["level"] == "stop" else Level.warning})


def judge(window: Window, limits: Mapping[str, Limits]) -> list[Finding]:
    """The findings past their limits after the window's last step, in the order of RULES."""
    found = []
    for name, rule in RULES.items():
        limit = limits.get(name)
        reading = rule.measure(window, limit.steps) if limit and window.steps else None
        if limit is None or reading is None:
            continue
        if reading.may_stop and _past(reading.value, limit.stop, rule.low_is_bad):
            level = Level.failed
        elif _past(reading.value, limit.warn, rule.low_is_bad) or _past(reading.value, limit.stop, rule.low_is_bad):
            level = Level.warning
        else:
            continue
        found.append(Finding(name, level, window.steps[-1].number, reading.value, reading.message, reading.hint))
    return found


def validate(limits: Mapping[str, Limits]) -> None:
    """Checks whether every rule that conf names exists and can be asked.

    Raises:
        RunError: there is no such rule, or it is asked over no step.
    """
    for name, limit in limits.items():
        if name not in RULES:
            guess = nearest(name, RULES)
            raise RunError(
                f"there is no health rule named {name!r}",
                where=f"health.rules.{name}",
                hint=f"did you mean health.rules.{guess}?" if guess else f"one of: {', '.join(RULES)}",
            )
        if not 1 <= limit.steps <= Window.LONGEST:
            raise RunError(
                f"the rule is taken over {limit.steps} steps",
                where=f"health.rules.{name}.steps",
                hint=f"1 to {Window.LONGEST}",
            )


def _past(value: float, limit: float | None, low_is_bad: bool) -> bool:
    return limit is not None and (value <= limit if low_is_bad else value >= limit)
