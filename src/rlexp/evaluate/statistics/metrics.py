"""Metrics of several samples of one prompt. Each gives a value a prompt: ``estimate`` has the interval of their mean.

None stands where fewer than ``k`` samples were scored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import comb, fsum


def pass_at_k(n: int, c: int, k: int) -> float | None:
    """The probability that at least one of ``k`` samples is right, unbiased.

    Chen et al., Evaluating Large Language Models Trained on Code (2021, arXiv 2107.03374), equation 1.

    Args:
        n: samples that were scored.
        c: those that were right.
        k: at least 1.
    """
    # Whole numbers of any size, divided once: no rounding, no overflow.
    return (comb(n, k) - comb(n - c, k)) / comb(n, k) if k <= n else None


def pass_hat_k(n: int, c: int, k: int) -> float | None:
    """The probability that all of ``k`` samples are right, unbiased; the arguments are those of ``pass_at_k``.

    Yao et al., tau-bench (2024, arXiv 2406.12045), pass^k.
    """
    return comb(c, k) / comb(n, k) if k <= n else None


def majority_at_k(answers: Sequence[str | None], scores: Sequence[float | None], k: int) -> float | None:
    """The expected score of the most frequent answer among ``k`` of the samples, drawn without replacement.

    Exact, at any cost that is worth counting: instead of going through the draws, the answers are taken one after the
    other, and it is counted how many draws give them what. Answers that are equally frequent share: the mean of their
    scores is what counts, so that order plays no part.

    Args:
        answers: of each sample; None has no answer and no vote. Where none of a draw has one, the mean score of the
            samples without an answer counts.
        scores: of each sample; an answer's score is the mean over its samples.
        k: at least 1; at most 1000 samples.
    """
    found: dict[str | None, list[float]] = defaultdict(list)
    for answer, score in zip(answers, scores, strict=True):
        if score is not None:
            found[answer].append(score)
    n = sum(map(len, found.values()))
    if n < k:
        return None
    silent = found.pop(None, [])
    groups = [
        (len(values), fsum(values) / len(values)) for _, values in sorted(found.items(), key=lambda item: str(item[0]))
    ]
    total = comb(len(silent), k) * fsum(silent) / len(silent) if silent else 0.0
    for votes in range(1, min(k, max((size for size, _ in groups), default=0)) + 1):
        total += _winning(groups, len(silent), votes, k)
    return total / comb(n, k)


def _winning(groups: Sequence[tuple[int, float]], silent: int, votes: int, k: int) -> float:
    """Sum over all draws that are won with exactly ``votes`` of the winners' mean score."""
    # (drawn, winners) -> number of such draws, sum over them of the winners' scores.
    state: dict[tuple[int, int], tuple[int, float]] = {
        (s, 0): (comb(silent, s), 0.0) for s in range(min(silent, k) + 1)
    }
    for size, score in groups:
        after: dict[tuple[int, int], tuple[int, float]] = {}
        for (drawn, winners), (ways, sums) in state.items():
            for taken in range(min(size, votes, k - drawn) + 1):
                wins = taken == votes
                key, times = (drawn + taken, winners + wins), comb(size, taken)
                old = after.get(key, (0, 0.0))
                after[key] = (old[0] + times * ways, old[1] + times * (sums + wins * score * ways))
        state = after
    return fsum(sums / winners for (drawn, winners), (_, sums) in state.items() if drawn == k and winners)
