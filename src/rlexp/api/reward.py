"""A project's reward as plain functions, in the form that TRL's trainers call."""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, overload

from rlexp.api.composed import compose, typed_of
from rlexp.api.given import as_list, lacking, require_text
from rlexp.api.place import inside, require_main
from rlexp.compose.run import Run
from rlexp.compose.schema import Combine
from rlexp.errors import RunError
from rlexp.inputs.reward_files import reward_sources
from rlexp.inputs.reward_source import PROVIDED, RewardSource
from rlexp.reward import combine
from rlexp.reward.pool.pool import Workers
from rlexp.reward.rubric import GATED, Batch, Rubric, workers_for


class Scorer:
    """The composed reward of a project, and the worker processes that score it; they start with the first completion.

    Args:
        option: ``format+correct``.
        overrides: what else is typed: ``reward.terms.format.weight=0.5``.
        num_generations: completions of a prompt, which stand side by side; None where no term needs whole groups.
        root: the project folder, or one within it.

    Raises:
        RunError: it cannot be composed, a reward file cannot be read, or a term needs whole groups.
    """

    def __init__(
        self,
        option: str,
        overrides: Sequence[str],
        num_generations: int | None,
        root: str | os.PathLike[str] | None,
    ) -> None:
        require_main()
        if not isinstance(option, str) or "=" in option or option.startswith("-") or not option.strip():
            raise RunError(
                f"the first argument names the reward, and {option!r:.80} does not",
                where="rlexp.api",
                hint='name it as behind reward=: api.reward("format+correct", "reward.terms.format.weight=0.5")',
            )
        self.run: Run = compose(f"reward={option}", *overrides, root=root)
        self.root: Path = typed_of(self.run).root
        with inside(self.root):
            self.sources: dict[str, RewardSource] = reward_sources(self.run)
        whole = [name for name, source in self.sources.items() if source.whole_groups]
        if num_generations is not None and (not isinstance(num_generations, int) or num_generations < 1):
            raise RunError(
                f"num_generations is {num_generations!r}, and a group has at least one completion",
                where="num_generations",
                hint="name the completions of a prompt: num_generations=8",
            )
        if whole and num_generations is None:
            raise RunError(
                f"the reward {whole[0]} scores the completions of a prompt together, and how many they are is not said",
                where=f"{self.sources[whole[0]].file}: score_group()",
                hint="add num_generations=8, the trainer's own number",
            )
        self.num_generations = num_generations or 1

    @functools.cached_property
    def workers(self) -> Workers:
        """Who scores; they end with this object, or with the process."""
        with inside(self.root):
            workers = workers_for(self.run.reward, self.sources, self.run.hardware.reward_workers)
        weakref.finalize(self, workers.close)
        return workers

    def close(self) -> None:
        """Ends the workers, where they were started."""
        if workers := self.__dict__.get("workers"):
            workers.close()

    def rubric(self, terms: Sequence[str] | None = None) -> Rubric:
        """A new rubric over some terms, its counters at 0; None for all."""
        names = self.sources if terms is None else terms
        return Rubric(self.run.reward, {name: self.sources[name] for name in names}, self.workers)

    def batch(
        self, rubric: Rubric, completions: Sequence[Any], prompts: Sequence[Any] | None, columns: Mapping[str, Any]
    ) -> Batch:
        """The scores of completions by the terms of a rubric.

        Raises:
            RunError: a term reads what is not there, the lengths differ, or the reward is at fault.
        """
        given = {name: values for name, values in columns.items() if name in _read(rubric)}
        given |= {} if prompts is None else {"prompts": prompts}
        lists = {name: as_list(name, values) for name, values in {"completions": completions, **given}.items()}
        count = len(lists["completions"])
        for name, values in lists.items():
            if len(values) != count:
                raise RunError(
                    f"{name} has {len(values)} entries for {count} completions",
                    where=f"{name}=",
                    hint=f"give {name} one entry for each completion",
                )
        for name, source in rubric.sources.items():
            for read in source.reads:
                if read not in lists and read not in source.optional:
                    raise lacking(name, source, read, columns)
        if count % self.num_generations:
            raise RunError(
                f"{count} completions are no whole groups of {self.num_generations}",
                where=f"num_generations={self.num_generations}",
                hint="give all completions of a prompt, one after the other",
            )
        for number, item in enumerate(lists["completions"]):
            require_text(item, number)
        texts, asked = lists.pop("completions"), lists.pop("prompts", [""] * count)
        with inside(self.root):
            return rubric.score(texts, asked, lists, self.num_generations)


class RewardFunction:
    """A reward, or one term of it, that TRL's GRPOTrainer and RLOOTrainer take as ``reward_funcs``.

    The workers that score end with the last function of a reward, with ``close``, or with the process.
    """

    def __init__(self, name: str, weight: float, scorer: Scorer, terms: Sequence[str] | None) -> None:
        self.__name__ = name
        """What TRL logs it as: ``rewards/NAME/mean``."""
        self.weight = weight
        """Its entry in TRL's ``reward_weights``; of a whole reward 1, as its terms are weighted already."""
        self._scorer, self._terms = scorer, terms
        self._rubric: Rubric | None = None

    def __call__(
        self, prompts: Sequence[Any] | None = None, completions: Sequence[Any] = (), **columns: Any
    ) -> list[float | None]:
        """One score for each completion; None where no term applies.

        Args:
            prompts: texts or conversations; None where no term reads them.
            completions: texts or conversations, of which the last turn is scored.
            columns: ``completion_ids``, columns of the data, and what else TRL hands over, which is not read.

        Raises:
            RunError: a term reads a column that is not there, or more scores failed than ``reward.max_failed`` allows.
        """
        self._rubric = self._rubric or self._scorer.rubric(self._terms)
        batch = self._scorer.batch(self._rubric, completions, prompts, columns)
        return batch.rewards if self._terms is None else batch.scores[self._terms[0]]

    def close(self) -> None:
        """Ends the workers, also those of the other terms."""
        self._scorer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RewardFunction({self.__name__!r}, weight {self.weight:g})"


@overload
def reward(
    option: str,
    /,
    *overrides: str,
    apart: Literal[False] = False,
    num_generations: int | None = None,
    root: str | os.PathLike[str] | None = None,
) -> RewardFunction: ...
@overload
def reward(
    option: str,
    /,
    *overrides: str,
    apart: Literal[True],
    num_generations: int | None = None,
    root: str | os.PathLike[str] | None = None,
) -> list[RewardFunction]: ...
def reward(
    option: str,
    /,
    *overrides: str,
    apart: bool = False,
    num_generations: int | None = None,
    root: str | os.PathLike[str] | None = None,
) -> RewardFunction | list[RewardFunction]:
    """A reward of the project for a TRL script: ``GRPOTrainer(reward_funcs=api.reward("format+correct"), ...)``.

    Args:
        option: as behind ``reward=``: ``format+correct``.
        overrides: as typed on the command line: ``"reward.terms.format.weight=0.5"``.
        apart: a function for each term, so that TRL logs and weighs each
            (``reward_weights=[one.weight for one in functions]``); else one, which combines them.
        num_generations: the trainer's; only a reward that scores whole groups (``score_group``) needs it.
        root: the project folder, or one within it; None for that of the working directory.

    Raises:
        RunError: it cannot be composed, or its parts cannot be trained on so.
    """
    scorer = Scorer(option, overrides, num_generations, root)
    how, terms = scorer.run.reward, list(scorer.sources)
    if not apart:
        if how.combine is Combine.normalize:
            raise RunError(
                "reward.combine=normalize standardises each term in the trainer, so one function cannot do it",
                where="reward.combine=normalize",
                hint='add apart=True, and GRPOConfig(multi_objective_aggregation="normalize_then_sum")',
            )
        return RewardFunction(option, 1.0, scorer, None)
    functions = [
        RewardFunction(name, weight, scorer, [name])
        for name, weight in zip(terms, combine.weights(how), strict=False)  # a gate has one more, behind them
    ]
    return functions + ([RewardFunction(GATED, 1.0, scorer, None)] if how.combine is Combine.gate else [])


def _read(rubric: Rubric) -> set[str]:
    """Every name that a term reads beside completions and prompts."""
    return {name for source in rubric.sources.values() for name in source.reads} - set(PROVIDED[:2])
