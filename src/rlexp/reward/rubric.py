"""The reward of a run: named terms from the team's files, combined, every score of every term kept.

TRL adds the terms up itself (``reward_weights``); the rubric hands it one plain function a term and keeps the
unweighted breakdown of every completion. The terms are scored by worker processes, all of them at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp import files
from rlexp.compose.environment import resolved
from rlexp.compose.schema import Combine, Reward
from rlexp.errors import RunError
from rlexp.inputs.reward_source import PREFILLS, PROVIDED, RewardSource
from rlexp.reward.combine import Scores, total
from rlexp.reward.function import given as given_to
from rlexp.reward.pool.pool import Failure, Score, Workers
from rlexp.reward.ranks import Alone, Ranks, joined

GATED = "gated"
"""Name of the function behind the terms that a gate trains on."""
FAILURES = "reward_failures.jsonl"
READ = "read."
"""Stands before the name of a column that a term reads, in the stored completions."""


@dataclass
class Batch:
    """Completions of one generation, group after group, with the scores of each term."""

    step: int
    prompts: list[str]
    completions: list[str]
    columns: dict[str, list[Any]]
    """The other values that the terms read: data-set columns, completion_ids."""
    scores: Scores = field(default_factory=dict)
    rewards: list[float | None] = field(default_factory=list)
    """The combined reward of each completion; None where no term applies."""
    tokens: list[int] | None = None
    """Lengths with the end token, where the ids were handed over."""
    last: list[int | None] | None = None
    """The last token of each, which says whether it ended; None of an empty one."""
    sources: list[str] | None = None
    """The part of a mixture that each prompt came from; None of one data set."""


class Rubric:
    """Scores completions by term.

    Args:
        reward: the composed terms and how they are combined.
        sources: their files and signatures.
        workers: who scores.
        failures: the folder of the run; completions that a term failed on are appended to FAILURES in it.
        prefill: what the generation prompt wrote of every answer already: ``<think>``; terms may read it.
        source: the column that says from which part of a mixture a row came; None of one data set.
        ranks: the processes that each train on a part of every batch; the first one scores all of it.
    """

    def __init__(
        self,
        reward: Reward,
        sources: dict[str, RewardSource],
        workers: Workers,
        failures: Path | None = None,
        prefill: str = "",
        source: str | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.reward = reward
        self.sources = sources
        self.scored = self.failed = 0
        """Scores asked for so far, and those that failed."""
        self._workers = workers
        self._failures = failures / FAILURES if failures else None
        self._prefill = prefill
        self._source = source
        self._kept: list[Batch] = []
        self._ranks = ranks or Alone()
        self._own = slice(None)
        """The rows of the last batch that this process trains on."""

    def score(
        self,
        completions: Sequence[Any],
        prompts: Sequence[Any],
        columns: Mapping[str, list[Any]],
        num_generations: int = 1,
        step: int = 0,
    ) -> Batch:
        """Scores completions by every term whose columns are there.

        Args:
            completions: texts or conversations, one for each completion.
            prompts: the same length; of a conversation the reward sees the text of its last turn.
            columns: ``completion_ids`` and data-set columns, each of the same length.
            num_generations: completions a prompt, one after the other.
            step: for the record.

        Raises:
            RunError: a reward answered something else than one number a completion, or more failed than
                ``reward.max_failed`` allows.
        """
        texts, asked = [text_of(item) for item in completions], [text_of(item) for item in prompts]
        # A missing value is None, however the data writes it.
        asked_for = {name for source in self.sources.values() for name in source.reads}  # TRL hands over more
        hidden = {*PROVIDED[:2], *({*PROVIDED} - asked_for)}
        if any(source.everything for source in self.sources.values()):
            asked_for |= {name for name, values in columns.items() if isinstance(values, list)}
        turns = any(not isinstance(item, str) for item in (*prompts, *completions))
        offered: dict[str, list[Any]] = {
            name: [None if _is_nan(value) else value for value in columns[name]] for name in columns.keys() & asked_for
        }
        offered |= {"completions": texts, "prompts": asked}
        if self._prefill:
            offered.setdefault(PREFILLS, [self._prefill] * len(texts))
        given = {
            name: given_to(source, offered, prompts, turns)
            for name, source in self.sources.items()
            if set(source.reads) - set(source.optional) <= offered.keys()
        }
        futures: dict[str, Future[list[Score]]] = {
            name: self._workers.submit(name, part, num_generations) for name, part in given.items()
        }
        read = {key: values for part in given.values() for key, values in part.items() if key not in hidden}
        batch = Batch(step, asked, texts, read)
        for name, future in futures.items():
            batch.scores[name] = self._counted(name, future.result(), batch)
        batch.rewards = total(batch.scores, self.reward)
        if self._source and self._source in columns:
            batch.sources = columns[self._source]
        if "completion_ids" in columns:
            batch.tokens = [len(ids) for ids in columns["completion_ids"]]
            batch.last = [ids[-1] if ids else None for ids in columns["completion_ids"]]
        return batch

    def functions(self, num_generations: int) -> list[Callable[..., list[float | None]]]:
        """One function for each term, in the form TRL calls: ``(prompts, completions, completion_ids, **columns)``; for
        a gate one more, the gated sum.

        Args:
            num_generations: completions a prompt while training.
        """
        names = [*self.reward.terms, *([GATED] if self.reward.combine is Combine.gate else [])]
        return [self._function(name, name == names[0], num_generations) for name in names]

    def _function(self, name: str, first: bool, num_generations: int) -> Callable[..., list[float | None]]:
        def score_term(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
            state = columns.pop("trainer_state", None)
            if (
                first
            ):  # scores the batch by all terms at once; the functions behind this one only hand out their own scores
                step = state.global_step + 1 if state else 0
                if self._kept and self._kept[-1].step != step:
                    self._kept = []
                self._kept.append(self._of_all(completions, prompts, columns, num_generations, step))
            batch = self._kept[-1]
            return (batch.rewards if name == GATED else batch.scores[name])[self._own]

        score_term.__name__ = name
        return score_term

    def _of_all(
        self, completions: list[Any], prompts: list[Any], columns: dict[str, Any], num_generations: int, step: int
    ) -> Batch:
        """The scored batch of all ranks, on each of them: a reward sees the whole batch, on any number of devices."""
        if self._ranks.count == 1:
            return self.score(completions, prompts, columns, num_generations, step)
        count = len(completions)
        lists = {name: of for name, of in columns.items() if isinstance(of, list) and len(of) == count}
        parts = self._ranks.parts({**lists, "completions": completions, "prompts": prompts})
        before = sum(len(part["completions"]) for part in parts[: self._ranks.number])
        self._own = slice(before, before + count)
        whole = joined(parts)
        texts, asked = whole.pop("completions"), whole.pop("prompts")
        return self._ranks.from_first(lambda: self.score(texts, asked, whole, num_generations, step))

    def of_step(self, step: int) -> list[Batch]:
        """The batches that the functions scored in this step; whoever watches may ask until the next step scores."""
        return [batch for batch in self._kept if batch.step == step]

    def forget(self) -> None:
        """Lets go of what an earlier training scored."""
        self._kept = []

    def _counted(self, name: str, scores: list[Score], batch: Batch) -> list[float | None]:
        """The scores with None for every failure, which is counted and kept with its completion."""
        failed = [(n, score) for n, score in enumerate(scores) if isinstance(score, Failure)]
        self.scored += len(scores)
        self.failed += len(failed)
        if failed and self._failures:
            for number, failure in failed:
                place = {"step": batch.step, "term": name, "kind": failure.kind, "message": failure.message}
                texts = {"prompt": batch.prompts[number], "completion": batch.completions[number]}
                files.append_text(self._failures, json.dumps({**place, "where": failure.where, **texts}) + "\n")
        if self.failed > self.reward.max_failed * self.scored:
            number, failure = failed[0]
            raise RunError(
                f"the reward {name} {worded(failure)} "
                f"({self.failed} of {self.scored} scores failed so far, {self.reward.max_failed:.0%} may)",
                where=f"{failure.where or self.sources[name].file}, on the completion "
                f"{batch.completions[number][:200]!r}",
                hint="python -m rlexp score tries the rewards alone"
                + (f"; {FAILURES} in the run folder holds every one" if self._failures else ""),
            )
        return [None if isinstance(score, Failure) else score for score in scores]


def source_name(part: str, name: str) -> str:
    """What a number of a part of a mixture is called, in the metrics and in the held-out table."""
    return f"source/{part}/{name}"


def workers_for(reward: Reward, sources: dict[str, RewardSource], processes: int | None) -> Workers:
    """The workers of a reward; one for each processor that this process may use, where ``processes`` is None."""
    if processes is None:
        processes = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    terms = {name: (source, resolved(reward.terms[name].params)) for name, source in sources.items()}
    return Workers(terms, processes if terms else 0, reward.time_limit)


def worded(failure: Failure) -> str:
    """A failure as the rest of a sentence."""
    return (
        f"{failure.kind}{' ' if failure.kind == 'raised' else ': '}{failure.message}"
        if failure.message
        else (failure.kind)
    )


def _is_nan(value: Any) -> bool:
    """A missing number, as pandas and floating-point columns write it."""
    return isinstance(value, float) and value != value


def text_of(item: Any) -> str:
    """The text of a prompt or completion: itself, or the content of a conversation's last turn."""
    return item if isinstance(item, str) else str(item[-1]["content"]) if item else ""
