"""The prompts of a trainer's coming generations in the order of its loader, and completions that wait for them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlexp.backend.logprobs import Lists

if TYPE_CHECKING:
    from rlexp.backend.trainers.protocol import OnlineTrainer


def prompts_digest(prompt_ids: Lists) -> str:
    """Sixty-four hex digits that name the prompts by their token ids."""
    return hashlib.sha256(json.dumps(prompt_ids).encode()).hexdigest()


@dataclass(frozen=True)
class Sampled:
    """Completions of one generation, group after group."""

    prompts: str
    """The digest of the prompts that they answer (``prompts_digest``)."""
    ids: list[list[int]]
    logprobs: list[list[float]]
    """The log-probability of every token by the policy that sampled it; NaN where vLLM had none."""


def batches(trainer: OnlineTrainer) -> Iterator[list[Any]]:
    """The rows of every generation in the order in which the trainer's loader gives them, epoch after epoch.

    Read from a sampler of its own: it shuffles with a generator of its own by the same seed, and is a class that the
    loader asks once an epoch as well, so the loader itself is not touched.
    """
    sampler = trainer._get_train_sampler()
    repeats = trainer.args.steps_per_generation * trainer.num_iterations
    sequences = trainer.args.per_device_train_batch_size * trainer.args.steps_per_generation
    while True:
        indices = iter(sampler)
        while len(batch := list(itertools.islice(indices, sequences))) == sequences:
            yield [trainer.train_dataset[number] for number in batch]
            for _ in itertools.islice(indices, sequences * (repeats - 1)):
                pass
