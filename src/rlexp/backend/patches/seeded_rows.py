"""Every completion that transformers samples while training has a seed of its own, from the run's seed, the step and
its row in the whole batch: several devices sample what one would.

transformers draws a batch's tokens from one random state, so that a completion depends on what is sampled beside it,
and each process has a state of its own. With a seed a row depends on its prompt, the weights and the seed alone, apart
from the rounding of products of other batch sizes.

Source: ``torch.multinomial`` in ``GenerationMixin._sample`` of transformers; ``seeded_requests`` for vLLM.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed
from rlexp.backend.patches.seeded_requests import Seeds, meanwhile
from rlexp.reward.ranks import Ranks

if TYPE_CHECKING:
    from rlexp.backend.trainers.protocol import OnlineTrainer

PATCH = Patch(
    name="seeded_rows",
    target="torch.multinomial, while _generate_single_turn of a trl.GRPOTrainer or RLOOTrainer samples",
    reason="Each of several processes draws from a random state of its own, so that N devices would sample other "
    "completions than one (rollout.seed_rows).",
    gain="not measured alone",
    upstream="https://github.com/huggingface/transformers/blob/v5.17.0/src/transformers/generation/utils.py",
    made_for={"trl": "1.15", "transformers": "5.17"},
    expires="when transformers takes a seed, or a generator, for each row",
    needed_for="rollout.seed_rows=true",
)


def apply(trainer: OnlineTrainer, run_seed: int, wanted: bool | None, ranks: Ranks) -> Outcome:
    """Seeds each row that a trainer samples with transformers.

    Args:
        run_seed: the seed of the run.
        wanted: ``rollout.seed_rows``; None where there are several ranks.
        ranks: those of the run, each of which samples as many rows.
    """
    if not (ranks.count > 1 if wanted is None else wanted):
        return not_needed("one device samples the whole batch")
    import torch

    seeds, inner = Seeds(run_seed, lambda: int(trainer.state.global_step)), trainer._generate_single_turn

    @functools.wraps(inner)
    def generate(*args: Any, **kwargs: Any) -> Any:
        with meanwhile(torch, "multinomial", drawn(torch.multinomial, seeds.call(), ranks.number)):
            return inner(*args, **kwargs)

    trainer._generate_single_turn = generate
    return APPLIED


def drawn(multinomial: Callable[..., Any], seed: Callable[[int], int], rank: int) -> Callable[..., Any]:
    """``torch.multinomial`` of one token a row, each row from a random state of its own.

    Args:
        multinomial: torch's own, for what is drawn otherwise.
        seed: row of the whole batch -> its seed.
        rank: how many times as many rows come before the first.
    """
    import torch

    states: list[Any] = []

    def of_rows(probabilities: Any, num_samples: int, *args: Any, **kwargs: Any) -> Any:
        if num_samples != 1 or probabilities.dim() != 2:
            return multinomial(probabilities, num_samples, *args, **kwargs)
        rows = len(probabilities)
        if not states:
            states.extend(torch.Generator().manual_seed(seed(rank * rows + row)) for row in range(rows))
        points = torch.stack([torch.rand((), generator=state, dtype=torch.float64) for state in states])
        sums = probabilities.double().cumsum(-1)
        # The first token whose sum is above the point: one of probability 0 is never drawn.
        found = torch.searchsorted(sums, points.to(sums.device)[:, None] * sums[:, -1:], right=True)
        return found.clamp(max=probabilities.shape[-1] - 1)

    return of_rows
