"""The reward of a run: named terms from the team's files, weighted, every score kept.

TRL adds the terms up itself (``reward_weights``); the rubric hands it one plain function a term and keeps the
unweighted breakdown of every completion.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlexp.compose.schema import Term
from rlexp.errors import RunError
from rlexp.inputs.prepare import load_script
from rlexp.inputs.reward_source import RewardSource


@dataclass
class Batch:
    """Completions of one generation, with the scores of each term."""

    step: int
    prompts: list[str]
    completions: list[str]
    scores: dict[str, list[float | None]] = field(default_factory=dict)


class Rubric:
    """Scores completions by term.

    Args:
        terms: the composed terms by name.
        sources: their files and signatures.
    """

    def __init__(self, terms: dict[str, Term], sources: dict[str, RewardSource]) -> None:
        self.terms = terms
        self.sources = sources
        self._score = {name: load_script(sources[name].path).score for name in terms}
        self._kept: list[Batch] = []

    def score(
        self, name: str, completions: Sequence[Any], prompts: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        """The scores of one term.

        Args:
            name: the term.
            completions: texts or conversations, one a completion.
            prompts: the same length; for a conversation the reward sees the text of its last turn.
            columns: ``completion_ids`` and data-set columns, each of the same length.

        Returns:
            One finite number a completion, or None where the term does not apply.

        Raises:
            RunError: the reward raised, or answered the wrong number of scores or one that is not finite.
        """
        texts = [text_of(item) for item in completions]
        offered = {"completions": texts, "prompts": [text_of(item) for item in prompts], **columns}
        source, term = self.sources[name], self.terms[name]
        try:
            scores = self._score[name](**{key: offered[key] for key in source.reads}, **term.params)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            raise RunError(
                f"the reward {name} raised {type(error).__name__}: {error}", where=f"{frame.filename}:{frame.lineno}"
            ) from error
        return checked(name, scores, texts, term.file)

    def functions(self) -> list[Any]:
        """One function a term, in the form TRL calls: ``(prompts, completions, completion_ids, **columns)``."""
        return [self._function(name) for name in self.terms]

    def _function(self, name: str) -> Callable[..., list[float | None]]:
        def reward(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
            state = columns.pop("trainer_state", None)
            scores = self.score(name, completions, prompts, **columns)
            if name == next(iter(self.terms)):
                step = state.global_step + 1 if state else 0
                self._kept.append(Batch(step, [text_of(p) for p in prompts], [text_of(c) for c in completions]))
            self._kept[-1].scores[name] = scores
            return scores

        reward.__name__ = name
        return reward

    def take(self) -> list[Batch]:
        """The batches scored since the last call."""
        kept, self._kept = self._kept, []
        return kept


def checked(name: str, scores: Any, completions: Sequence[str], file: str) -> list[float | None]:
    """``scores`` as plain floats, one a completion.

    Raises:
        RunError: the wrong number of them, or one that is not a finite number (nor None).
    """
    if not isinstance(scores, list | tuple) or len(scores) != len(completions):
        got = f"{len(scores)} scores" if isinstance(scores, list | tuple) else type(scores).__name__
        raise RunError(f"the reward {name} answered {got} for {len(completions)} completions", where=f"{file}: score()")
    for number, value in enumerate(scores):
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
            raise RunError(
                f"the reward {name} scored {value!r}, which is no finite number",
                where=f"{file}: score(), on the completion {completions[number][:200]!r}",
            )
    return [None if value is None else float(value) for value in scores]


def total(scores: dict[str, list[float | None]], terms: dict[str, Term]) -> list[float]:
    """The weighted sum a completion; a term that does not apply (None) is left out, as in TRL."""
    rows = zip(*(scores[name] for name in terms), strict=True)
    weights = [term.weight for term in terms.values()]
    return [sum(w * value for w, value in zip(weights, row, strict=True) if value is not None) for row in rows]


def text_of(item: Any) -> str:
    """The text of a prompt or completion: itself, or the content of a conversation's last turn."""
    return item if isinstance(item, str) else str(item[-1]["content"]) if item else ""
