"""Which completions ``inspect`` shows, and in which order: conditions, sorting, and what can be asked for. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rlexp.errors import RunError, nearest
from rlexp.evaluate.samples import FACTS, Group, Sample
from rlexp.record.listed import MISSING
from rlexp.record.select import PART, Condition, parse

ORDERS: dict[str, tuple[str, bool]] = {
    "worst": ("reward", False),
    "best": ("reward", True),
    "disagree": ("disagreement", True),
    "longest": ("tokens", True),
    "shortest": ("tokens", False),
}
"""sort= -> what it looks at, and whether the highest comes first."""

YES_OR_NO = ("cut", "empty")
"""Facts of a completion that are true or false."""


@dataclass(frozen=True)
class Choice:
    """Which completions are shown, and in which order."""

    conditions: tuple[Condition, ...] = ()
    sort: str | None = None
    """One of ORDERS; None keeps the order of the data."""
    term: str | None = None
    """worst and best by this term instead of the reward."""

    def __post_init__(self) -> None:
        if self.sort is not None and self.sort not in ORDERS:
            guess = nearest(self.sort, ORDERS)
            hint = f"type sort={guess}" if guess else f"one of: {', '.join(ORDERS)}"
            raise RunError(f"there is no order {self.sort!r}", where=f"sort={self.sort}", hint=hint)
        if self.term and self.sort not in (None, "worst", "best"):
            raise RunError(
                f"term= says by which score sort=worst and sort=best go, and this is sort={self.sort}",
                where=f"term={self.term}",
                hint=f"type sort=worst term={self.term}",
            )


def conditions(typed: Iterable[str]) -> tuple[Condition, ...]:
    """Filters as typed: ``correct<1``, ``tokens>=40``, ``cut``."""
    read = (parse(text) for text in typed)
    return tuple(Condition(one.wanted, "=", "true") if one.sign == PART else one for one in read)


def validate(choice: Choice, terms: Sequence[str]) -> None:
    """Checks whether a choice speaks of what completions have; before a model is loaded for it.

    Raises:
        RunError: a condition or ``term=`` names none of the terms, nor one of FACTS, or a number is compared with
            nothing.
    """
    for one in choice.conditions:
        _known(one.key, (*terms, *FACTS), f"where={one}")
        if (one.sign, one.wanted) == ("=", "true") and one.key not in YES_OR_NO:
            hint = f"type where='{one.key}<1'"
            raise RunError(f"{one.key} is a number, and nothing is asked of it", where=f"where={one.key}", hint=hint)
    if choice.term:
        _known(choice.term, terms, f"term={choice.term}")


def choose(groups: Sequence[Group], choice: Choice) -> list[Group]:
    """The groups that have a completion to show, each with those that meet every condition.

    A group stands where its first completions do: ``sort=worst`` begins with the group that has the worst one.

    Raises:
        RunError: a condition or order asks for lengths that were not stored, or compares what is no number.
    """
    kept = []
    for group in groups:
        samples = tuple(s for s in group.samples if all(_holds(one, s, group) for one in choice.conditions))
        if samples:
            kept.append(dataclasses.replace(group, samples=samples))
    if choice.sort is None and choice.term is None:
        return kept
    key, highest = ORDERS[choice.sort or "worst"]
    key = choice.term or key
    if kept and all(sample.value(key) is MISSING for group in kept for sample in group.samples):
        raise _not_stored(key, f"sort={choice.sort}")

    def rank(sample: Sample) -> tuple[bool, float]:
        value = sample.value(key)
        return (True, 0.0) if value is MISSING else (False, -value if highest else value)

    ordered = [dataclasses.replace(group, samples=tuple(sorted(group.samples, key=rank))) for group in kept]
    return sorted(ordered, key=lambda group: [rank(sample) for sample in group.samples])


def _holds(one: Condition, sample: Sample, group: Group) -> bool:
    value = sample.value(one.key)
    if value is MISSING and one.key in ("tokens", "cut"):
        raise _not_stored(one.key, f"where={one}")
    return one.meets(value, f"completion {sample.number} of {group.name}")


def _not_stored(key: str, where: str) -> RunError:
    return RunError(
        f"{key} is not known of these completions",
        where=where,
        hint="leave it out; of stored completions only runs of this version say the tokens",
    )


def _known(key: str, names: Sequence[str], where: str) -> None:
    if key not in names:
        guess = nearest(key, names)
        raise RunError(
            f"a completion has no {key!r}",
            where=where,
            hint=f"{f'did you mean {guess}? ' if guess else ''}one of: {', '.join(names)}",
        )
