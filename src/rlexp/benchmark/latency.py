"""How long answers take: until the first token, from token to token, whole; and how many tokens come in a second."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import Generated, Sampling

PERCENTILES = (50, 95, 99)
LEVELS = {"cpu": (1, 4), "cuda": (1, 8, 64)}
"""Device -> requests at once."""

Groups = list[list[Generated]]
"""Answers that were asked for at once."""


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The percentiles of some numbers, linear between them (numpy's own); ``p50``, ``p95``, ``p99``."""
    return {f"p{q}": float(np.percentile(values, q)) for q in PERCENTILES} if len(values) else {}


def ask(host: Host, prompts: Sequence[Sequence[int]], sampling: Sampling, together: int, requests: int) -> Groups:
    """Asks for answers, so many at once, each group when the one before it is answered; a warm-up goes before.

    Args:
        prompts: taken in turn.
        requests: rounded up to whole groups.
    """
    turn = itertools.cycle(prompts)
    groups = [list(itertools.islice(turn, together)) for _ in range(-(-requests // together))]
    host.generate(groups[0], Sampling(min(8, sampling.max_new_tokens)), 0, together)
    return [host.generate(one, sampling, 0, together) for one in groups]


def summary(groups: Groups, together: int) -> dict[str, Any]:
    """What the times of the tokens say.

    Returns:
        ``first_token_s``, ``token_s`` (between two tokens of an answer) and ``answer_s`` as percentiles, ``tokens`` and
        ``tokens_per_s`` of all requests of a group together.
    """
    answers = [one for group in groups for one in group if one.seconds]
    gaps = [gap for one in answers for gap in np.diff(one.seconds).tolist()]
    tokens = sum(len(one.ids) for one in answers)
    busy = sum(max((one.seconds[-1] for one in group if one.seconds), default=0.0) for group in groups)
    return {
        "together": together,
        "requests": sum(map(len, groups)),
        "tokens": tokens,
        "first_token_s": percentiles([one.seconds[0] for one in answers]),
        "token_s": percentiles(gaps),
        "answer_s": percentiles([one.seconds[-1] for one in answers]),
        "tokens_per_s": tokens / busy if busy else None,
        "answers_per_s": len(answers) / busy if busy else None,
    }
