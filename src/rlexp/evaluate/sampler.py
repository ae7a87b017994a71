"""A sampler of completions: one protocol for the held-out comparison, ``inspect``, and every artifact of a model.

A sampler renders dialogues, samples, and hands back token ids. transformers is the first
(``transformers_sampler.TransformersSampler``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rlexp.backend.prompts import Dialogue


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters in transformers' own names; the defaults sample from the plain softmax."""

    max_new_tokens: int
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0: no limit."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further arguments of ``generate`` (min_p, repetition_penalty)."""


@dataclass(frozen=True)
class Completion:
    """One answer of a model to a dialogue."""

    token_ids: list[int]
    """Its tokens with the one that ended it, without padding; none where the sampler does not know them."""
    text: str
    """The same, decoded without special tokens."""
    truncated: bool
    """The limit of tokens ended it, and not the model."""
    logprobs: list[float] | None = None
    """The log-probability of each token under the model's own distribution (temperature 1, nothing cut off); None
    where the sampler was not asked for them, or has none."""
    tokens: int | None = None
    """Its length, where it is known without the ids."""

    @property
    def length(self) -> int | None:
        """Tokens with the one that ended it; None where nothing says them."""
        return len(self.token_ids) if self.token_ids else self.tokens


class Sampler(Protocol):
    """Samples completions of dialogues from one model or artifact."""

    def sample(
        self, dialogues: Sequence[Dialogue], n: int, sampling: Sampling, seed: int, logprobs: bool = False
    ) -> list[list[Completion]]:
        """Samples ``n`` completions of every dialogue; the same arguments give the same completions.

        Args:
            dialogues: each plain text, or messages of one turn or several.
            n: completions of each dialogue.
            seed: of the sampler's own random numbers; those of the process stay as they are.
            logprobs: hand back the log-probabilities too, where the sampler has them.

        Returns:
            [dialogues][n].
        """
        ...
