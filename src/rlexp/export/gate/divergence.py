"""How far the distributions of two runtimes lie apart, teacher-forced on one text: llama.cpp's statistics by its names.

Source: `llama-perplexity --kl-divergence` of llama.cpp: KLD of the base's distribution to the other's over the whole
vocabulary where the base's log-probability is above -16; delta-p is that of the token that came; same top p where both
have the same most probable token. Errors: a bootstrap over sequences, as tokens of one sequence are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

LEAST = -16.0
RESAMPLES = 200
TOP = 64
"""The most probable tokens of the reference that the share of the adapter is reckoned on."""


@dataclass
class Divergences:
    """Those of one artifact; ``add`` every sequence, then ``statistics``."""

    kld: list[Any] = field(default_factory=list)
    """[sequences] of float64 [tokens]."""
    delta_p: list[Any] = field(default_factory=list)
    same: list[Any] = field(default_factory=list)
    moved: list[tuple[float, float]] = field(default_factory=list)
    """[sequences] of (what the artifact moved along the run's own way from the base, what the run moved)."""

    def add(self, reference: Any, other: Any, came: Any, top: Any, untrained: Any) -> None:
        """Adds a sequence.

        Args:
            reference: log-probabilities [tokens, vocabulary] of the model as it was trained.
            other: those of the artifact; a vocabulary that is padded further is cut.
            came: [tokens], the tokens that came.
            top: [tokens, TOP], the most probable tokens of the reference.
            untrained: [tokens, TOP], the log-probabilities of these in what the run began with.
        """
        width = min(reference.shape[1], other.shape[1])
        p, q = reference[:, :width].astype(np.float64), other[:, :width].astype(np.float64)
        weight = np.where(p > LEAST, np.exp(p), 0.0)
        self.kld.append(np.sum(np.where(weight > 0, weight * (p - q), 0.0), axis=1))
        rows = np.arange(len(came))
        self.delta_p.append(np.exp(q[rows, came]) - np.exp(p[rows, came]))
        self.same.append(p.argmax(axis=1) == q.argmax(axis=1))
        run, art = np.take_along_axis(p, top, 1), np.take_along_axis(q, top, 1)
        share = np.exp(run)
        own, apart = run - untrained, art - untrained
        centre = share.sum(1, keepdims=True)
        own = own - (share * own).sum(1, keepdims=True) / centre
        apart = apart - (share * apart).sum(1, keepdims=True) / centre
        self.moved.append((float((share * own * apart).sum()), float((share * own * own).sum())))

    @property
    def tokens(self) -> int:
        """Tokens so far."""
        return sum(map(len, self.kld))

    def statistics(self) -> dict[str, dict[str, float]]:
        """Name -> value and standard error, of all that was added."""
        found = self._of(range(len(self.kld)))
        draw = np.random.default_rng(0)
        number = len(self.kld)
        drawn = [self._of(draw.integers(0, number, number)) for _ in range(RESAMPLES)] if number > 1 else []
        return {
            name: {"value": value, "error": float(np.std([one[name] for one in drawn], ddof=1)) if drawn else 0.0}
            for name, value in found.items()
        }

    def _of(self, sequences: Any) -> dict[str, float]:
        kld = np.concatenate([self.kld[one] for one in sequences])
        delta = np.concatenate([self.delta_p[one] for one in sequences])
        same = np.concatenate([self.same[one] for one in sequences])
        along, whole = (sum(self.moved[one][side] for one in sequences) for side in (0, 1))
        return {
            "mean_kld": float(kld.mean()),
            "median_kld": float(np.median(kld)),
            "p99.9_kld": float(np.quantile(kld, 0.999)),
            "max_kld": float(kld.max()),
            "rms_delta_p": float(np.sqrt(np.mean(delta**2))),
            "same_top_p": float(same.mean()),
            "adapter_share": along / whole if whole > 0 else 1.0,
        }


def top_of(reference: Any, untrained: Any) -> tuple[Any, Any]:
    """(the TOP most probable tokens of the reference, their log-probabilities in what the run began with)."""
    number = min(TOP, reference.shape[1])
    top = np.argpartition(-reference, number - 1, axis=1)[:, :number]
    return top, np.take_along_axis(untrained, top, 1).astype(np.float64)
