"""The window that the rules look at: the last steps of a training, their logged values and facts of their completions.
Pure."""

from __future__ import annotations

import math
import statistics
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.schema import Dtype, Reward
from rlexp.inputs.reward_source import RewardSource
from rlexp.reward.combine import variances
from rlexp.reward.rubric import Batch

KEPT = 60
"""Steps a window holds."""
FIRST = 10
"""Steps of the beginning that are kept for good, to compare with."""
LOOP, LOOP_FROM = 8, 200
"""A text of LOOP_FROM characters or more that compresses to an eighth repeats itself."""
LOOKED_AT = 64
"""Completions a step that are searched for repetition, and the characters of each (times LOOP_FROM) from its end."""


@dataclass(frozen=True)
class WatchFacts:
    """The facts of a run that are known before its first step."""

    method: str
    online: bool
    learning_rate: float
    beta: float
    max_steps: int
    max_completion_length: int
    num_generations: int
    reward: Reward
    ranges: dict[str, float] = field(default_factory=dict)
    """Term -> declared highest minus lowest score; only terms that declare them."""
    lowest: float | None = None
    """The lowest reward the declared bounds allow; None where a term declares none."""
    best: float | None = None
    """The highest one."""
    vocabulary: int = 0
    """Tokens the model chooses from; 0: not known."""
    memory: float = 0.0
    """Bytes that are free when training begins; 0: not known."""
    scales_loss: bool = False
    """float16: the loss is scaled, and a gradient that overflows is skipped as a matter of course."""


@dataclass(frozen=True)
class Sampled:
    """Facts of the completions of one step; shares are of the completions, where nothing else is said."""

    groups: int
    low: float
    high: float
    """The lowest and highest reward."""
    equal: float = 0.0
    """Share of the groups whose rewards are all equal, and not the best there is."""
    empty: float = 0.0
    copied: float = 0.0
    """Share in groups whose completions are all the same text, and not the best there is."""
    looping: float = 0.0
    """Share that repeats itself, of those that were looked at."""
    variances: dict[str, float] = field(default_factory=dict)
    """Term -> mean over the groups of the variance inside each."""
    ranges: dict[str, float] = field(default_factory=dict)
    """Term -> highest minus lowest score."""


@dataclass(frozen=True)
class WatchedStep:
    """The values of one optimizer step."""

    number: int
    logs: dict[str, float] = field(default_factory=dict)
    """The values that the trainer logged; empty where it did not log this step."""
    sampled: Sampled | None = None
    moved: float | None = None
    """By what part of their size the sampled weights moved in this step; NaN where they are not finite."""
    seconds: float | None = None
    """Timings of the step."""
    memory: float | None = None
    """Bytes in use after it."""


class Window:
    """The last steps, the first ones, and the held-out measurements between."""

    LONGEST = KEPT - 1
    """The most steps that a rule may ask for."""

    def __init__(self, facts: WatchFacts) -> None:
        self.facts = facts
        self.steps: deque[WatchedStep] = deque(maxlen=KEPT)
        self.first: list[WatchedStep] = []
        self.held_out: list[tuple[int, dict[str, float]]] = []
        """(step, means by term), oldest first."""
        self.highest = -math.inf
        """The highest mean reward over three logged steps in a row."""

    def add(self, step: WatchedStep) -> None:
        """Takes a step in; the reward before the last three logged ones counts for ``highest``."""
        older = self.values("reward")[:-2]
        if older:
            self.highest = max(self.highest, statistics.fmean(older[-3:]))
        self.steps.append(step)
        if len(self.first) < FIRST:
            self.first.append(step)

    def state(self) -> dict[str, Any]:
        """What a training that goes on needs of it, as JSON values."""
        steps, first = ([asdict(step) for step in part] for part in (self.steps, self.first))
        return {"steps": steps, "first": first, "held_out": self.held_out, "highest": self.highest}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes ``state`` of an earlier process."""
        self.steps.extend(map(_step, state["steps"]))
        self.first = list(map(_step, state["first"]))
        self.held_out = [(step, means) for step, means in state["held_out"]]
        self.highest = state["highest"]

    def values(self, key: str, last: int | None = None) -> list[float]:
        """The finite logged values of ``key`` of the last so many steps that have it, oldest first."""
        found = [step.logs[key] for step in self.steps if math.isfinite(step.logs.get(key, math.nan))]
        return found if last is None else found[-last:]

    def mean(self, key: str, last: int) -> float | None:
        """Mean of the last values, None while there are fewer than asked for."""
        found = self.values(key, last)
        return statistics.fmean(found) if len(found) == last else None

    def start(self, key: str, count: int) -> float | None:
        """Mean of the first logged values of ``key``."""
        found = [step.logs[key] for step in self.first if math.isfinite(step.logs.get(key, math.nan))][:count]
        return statistics.fmean(found) if found else None

    def sampled(self, last: int) -> list[Sampled]:
        """Facts of the completions of the last so many steps that sampled some; empty while there are fewer."""
        found = [step.sampled for step in self.steps if step.sampled][-last:]
        return found if len(found) == last else []

    def newest_first(self) -> Iterator[WatchedStep]:
        """The steps, the last one first."""
        return reversed(self.steps)

    def solved(self, reward: float | None) -> bool:
        """Says whether this mean reward is nine tenths of what the declared bounds allow: there is little left to
        learn."""
        low, best = self.facts.lowest, self.facts.best
        return None not in (low, best, reward) and (reward - low) >= 0.9 * (best - low)  # type: ignore[operator]


def _step(state: dict[str, Any]) -> WatchedStep:
    return WatchedStep(**{**state, "sampled": Sampled(**state["sampled"]) if state["sampled"] else None})


def facts(run: Run, sources: dict[str, RewardSource]) -> WatchFacts:
    """The facts of a run; what only the live model and machine know is added by ``watch``."""
    bounds = {name: source.bounds for name, source in sources.items() if source.bounds}
    trained = {name: term.weight for name, term in run.reward.terms.items() if term.weight}
    ends = [sorted(w * bound for bound in bounds[name]) for name, w in trained.items() if name in bounds]
    known = run.method.online and len(ends) == len(trained)
    return WatchFacts(
        method=run.method.name,
        online=run.method.online,
        learning_rate=run.arguments["learning_rate"],
        beta=run.arguments.get("beta") or 0.0,
        max_steps=run.arguments["max_steps"],
        max_completion_length=run.arguments.get("max_completion_length") or 0,
        num_generations=run.num_generations,
        reward=run.reward,
        ranges={name: high - low for name, (low, high) in bounds.items()},
        lowest=sum(low for low, _ in ends) if known else None,
        best=sum(high for _, high in ends) if known else None,
        scales_loss=run.hardware.dtype is Dtype.float16,
    )


def sampled(batches: Sequence[Batch], known: WatchFacts, highest: float) -> Sampled | None:
    """Facts of the completions of one step; None where no reward applies to any.

    Args:
        highest: the best reward there is, declared or seen so far; a group that has it everywhere is solved.
    """
    texts = [text.strip() for batch in batches for text in batch.completions]
    rewards = [reward for batch in batches for reward in batch.rewards]
    applied = [reward for reward in rewards if reward is not None]
    if not applied:
        return None
    count = known.num_generations
    groups = [range(start, start + count) for start in range(0, len(texts), count)]
    below = [group for group in groups if min((rewards[n] or 0.0 for n in group), default=0.0) < highest - 1e-6]
    # An equal sum of unequal terms is no lack of variance where each term is standardised.
    scores = [[score for batch in batches for score in batch.scores[name]] for name in batches[0].scores]
    compared = scores if known.reward.combine.name == "normalize" else [rewards]
    equal = [group for group in below if all(len({row[n] for n in group}) == 1 for row in compared)]
    same = [group for group in below if len({texts[n] for n in group}) == 1]
    every = max(1, len(texts) // LOOKED_AT)
    looked = texts[::every][:LOOKED_AT]
    by_term = dict(zip(batches[0].scores, scores, strict=True))
    given = {name: [score for score in row if score is not None] for name, row in by_term.items()}
    return Sampled(
        groups=len(groups),
        low=min(applied),
        high=max(applied),
        equal=len(equal) / len(groups),
        empty=sum(not text for text in texts) / len(texts),
        copied=len(same) / len(groups),
        looping=sum(loops(text) for text in looked) / len(looked),
        variances=variances(by_term, count),
        ranges={name: max(row) - min(row) for name, row in given.items() if row},
    )


def loops(text: str) -> bool:
    """Says whether a text's end says the same over and over."""
    end = text[-10 * LOOP_FROM :].encode()
    if len(end) < LOOP_FROM:
        return bool(end) and len(text) > 20 and Counter(text).most_common(1)[0][1] > 0.9 * len(text)
    return len(zlib.compress(end, 1)) * LOOP < len(end)
