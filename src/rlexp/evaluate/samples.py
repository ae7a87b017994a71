"""The content of ``inspect``, as data: groups of completions with the scores of every term, filtered and sorted.
Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlexp.compose.run import Run
from rlexp.record.listed import MISSING
from rlexp.reward import advantage
from rlexp.reward.combine import Scores

Ranges = dict[str, tuple[float, float] | None]
"""Term -> the lowest and highest score that its file declares."""


@dataclass(frozen=True)
class TextSpan:
    """A part of a text as the model sees it."""

    text: str
    kind: str = "text"
    """text, special, bos or eos: how the tokenizer reads it."""


@dataclass(frozen=True)
class Target:
    """A completion that an offline method trains on."""

    name: str
    """Its column: chosen, rejected, completion."""
    pieces: tuple[TextSpan, ...]
    tokens: int
    truncated: int
    """Tokens of it that the trainer cuts off (method.max_length)."""


@dataclass(frozen=True)
class SampledGroups:
    """Completions as they were sampled or stored, whole groups one after the other; a value a completion."""

    groups: list[str]
    """The name of each group: a row of the data, a group of a step."""
    prompts: list[tuple[TextSpan, ...]]
    """The prompt of each group, as are ``prompt_tokens``, ``columns`` and ``targets``."""
    prompt_tokens: list[int | None]
    columns: list[dict[str, Any]]
    """The other columns of the row that the terms read."""
    targets: list[tuple[Target, ...]]
    completions: list[str]
    pieces: list[tuple[TextSpan, ...]]
    tokens: list[int | None]
    """Length with the end token; None where it was not stored."""
    truncated: list[bool | None]
    """True where the limit ended the completion."""
    scores: Scores
    rewards: list[float | None]
    reasons: list[dict[str, str]]
    """Term -> why it scored so, where the reward says it."""


@dataclass(frozen=True)
class Sample:
    """One completion."""

    number: int
    """Its place in the group, from 1."""
    text: str
    pieces: tuple[TextSpan, ...]
    tokens: int | None
    truncated: bool | None
    scores: dict[str, float | None]
    reward: float | None
    advantage: float | None
    """None where completions are not compared with each other."""
    disagreement: float
    """Largest difference between two terms, each scaled to its range: 0 to 1."""
    reasons: dict[str, str] = field(default_factory=dict)

    def value(self, key: str) -> Any:
        """The value that a condition or an order asks for: a term, or one of FACTS; MISSING where it was not stored."""
        found = FACTS[key](self) if key in FACTS and key not in self.scores else self.scores.get(key)
        return MISSING if found is None else found


FACTS: dict[str, Callable[[Sample], Any]] = {
    "reward": lambda sample: sample.reward,
    "advantage": lambda sample: sample.advantage,
    "disagreement": lambda sample: sample.disagreement,
    "tokens": lambda sample: sample.tokens,
    "cut": lambda sample: sample.truncated,
    "empty": lambda sample: not sample.text.strip(),
}
"""The values that a completion is filtered by besides its terms."""


@dataclass(frozen=True)
class Group:
    """The completions of one prompt."""

    name: str
    prompt: tuple[TextSpan, ...]
    prompt_tokens: int | None
    columns: dict[str, Any]
    targets: tuple[Target, ...]
    samples: tuple[Sample, ...]
    """The completions that are shown."""
    size: int
    """The number of completions that there are."""
    mean: float | None
    std: float | None
    """Mean and standard deviation of the reward over the whole group; None where fewer than two apply."""
    equal: bool
    """It teaches nothing: ``advantage.no_signal``."""


@dataclass(frozen=True)
class Summary:
    """Everything that was drawn, in a few numbers."""

    prompts: int
    completions: int
    means: dict[str, float]
    """By term that applied, and of the ``reward``."""
    stds: dict[str, float]
    tokens: float | None
    """Mean length."""
    truncated: float | None
    """Share of the completions that the limit ended."""
    empty: float
    equal: float | None
    """Share of the groups that teach nothing; None where groups are not compared."""


def grouped(run: Run, drawn: SampledGroups, ranges: Ranges, compared: bool) -> list[Group]:
    """The groups of what was drawn in one optimizer step, or for it.

    Args:
        ranges: for the disagreement of terms; where a term declares none, from its lowest to its highest score here.
        compared: whether the completions of a group are compared with each other: whole groups of an online method.
    """
    worth = advantage.advantages(run, drawn.scores, drawn.rewards) if compared else []
    differences = disagreements(drawn.scores, ranges)
    size = len(drawn.completions) // max(len(drawn.groups), 1)
    found = []
    for number, name in enumerate(drawn.groups):
        members = range(number * size, (number + 1) * size)
        part = {term: values[number * size : (number + 1) * size] for term, values in drawn.scores.items()}
        rewards = [drawn.rewards[n] for n in members]
        applied = [reward for reward in rewards if reward is not None]
        samples = tuple(
            Sample(
                number=n - number * size + 1,
                text=drawn.completions[n],
                pieces=drawn.pieces[n],
                tokens=drawn.tokens[n],
                truncated=drawn.truncated[n],
                scores={term: values[n] for term, values in drawn.scores.items()},
                reward=drawn.rewards[n],
                advantage=worth[n] if compared else None,
                disagreement=differences[n],
                reasons=drawn.reasons[n],
            )
            for n in members
        )
        deviation = advantage.spread(rewards)
        found.append(
            Group(
                name=name,
                prompt=drawn.prompts[number],
                prompt_tokens=drawn.prompt_tokens[number],
                columns=drawn.columns[number],
                targets=drawn.targets[number],
                samples=samples,
                size=size,
                mean=statistics.fmean(applied) if applied else None,
                std=None if math.isnan(deviation) else deviation,
                equal=compared and advantage.no_signal(run, part, rewards),
            )
        )
    return found


def disagreements(scores: Scores, ranges: Ranges) -> list[float]:
    """The disagreement of the terms on each completion: each is scaled to its range, the highest less the lowest.

    A term that does not apply, or has one value only, says nothing.
    """
    scaled: dict[str, list[float | None]] = {}
    for name, values in scores.items():
        applied = [value for value in values if value is not None]
        low, high = ranges.get(name) or (min(applied, default=0.0), max(applied, default=0.0))
        if high > low:
            scaled[name] = [None if v is None else (v - low) / (high - low) for v in values]
    count = len(next(iter(scores.values()), []))
    rows = [[values[n] for values in scaled.values()] for n in range(count)]
    applied_rows = [[value for value in row if value is not None] for row in rows]
    return [max(row) - min(row) if len(row) > 1 else 0.0 for row in applied_rows]


def summary(groups: Sequence[Group], compared: bool) -> Summary:
    """The numbers over all completions of ``groups``."""
    samples = [sample for group in groups for sample in group.samples]
    values = {name: [s.scores[name] for s in samples] for name in (samples[0].scores if samples else {})}
    values["reward"] = [sample.reward for sample in samples]
    applied = {name: kept for name, scores in values.items() if (kept := [s for s in scores if s is not None])}
    lengths = [sample.tokens for sample in samples if sample.tokens is not None]
    known = [sample.truncated for sample in samples if sample.truncated is not None]
    return Summary(
        prompts=len(groups),
        completions=len(samples),
        means={name: statistics.fmean(scores) for name, scores in applied.items()},
        stds={name: statistics.pstdev(scores) for name, scores in applied.items()},
        tokens=statistics.fmean(lengths) if lengths else None,
        truncated=sum(known) / len(known) if known else None,
        empty=sum(FACTS["empty"](sample) for sample in samples) / max(len(samples), 1),
        equal=sum(group.equal for group in groups) / len(groups) if compared and groups else None,
    )
