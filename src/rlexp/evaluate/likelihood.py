"""How likely a model finds given completions: a seam of its own beside ``Sampler``. An endpoint has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from rlexp.backend.prompts import Dialogue, Messages, completion_ids
from rlexp.compose.run import Run

MOST, TOKENS = 64, 4096
"""Sequences, and tokens with their padding, of one forward pass at most: the logits are tokens x vocabulary."""


class Likelihood(Protocol):
    """Says how likely one model or artifact finds completions of dialogues."""

    def logprobs(
        self, dialogues: Sequence[Dialogue], completions: Sequence[Sequence[str | Messages]]
    ) -> list[list[list[float]]]:
        """The log-probability, in nats, of every token of the completions given all that stands before it.

        Args:
            dialogues: each plain text, or messages of one turn or several.
            completions: [dialogues][k]: those of one dialogue are read from the same token on, so that they compare.

        Returns:
            [dialogues][k][tokens], the token that ends a completion included.
        """
        ...


class TransformersLikelihood:
    """A ``Likelihood`` over a loaded model.

    Args:
        run: says how dialogues are rendered and how many sequences the hardware takes at once.
        model: a causal language model of transformers, PEFT or Unsloth, in evaluation mode.
        tokenizer: its tokenizer.
    """

    def __init__(self, run: Run, model: Any, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.template_kwargs = run.chat_template_kwargs
        self.batch_size = min(run.hardware.sequences_per_device or 1, MOST)

    def logprobs(
        self, dialogues: Sequence[Dialogue], completions: Sequence[Sequence[str | Messages]]
    ) -> list[list[list[float]]]:
        """Does as ``Likelihood.logprobs``, sequences of about one length in one pass."""
        read = [
            completion_ids(self.tokenizer, dialogue, own, self.template_kwargs)
            for dialogue, own in zip(dialogues, completions, strict=True)
        ]
        sequences = [(ids, max(begin, 1)) for found, begin in read for ids in found]  # nothing predicts the first token
        logprobs: dict[int, list[float]] = {}
        for batch in self._batches([len(ids) for ids, _ in sequences]):
            logprobs |= dict(zip(batch, self._pass([sequences[number] for number in batch]), strict=True))
        ordered = iter(logprobs[number] for number in range(len(sequences)))
        return [[next(ordered) for _ in found] for found, _ in read]

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """The places of the sequences, the longest first, in parts that one pass takes."""
        batch: list[int] = []
        for number in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
            if batch and (len(batch) == self.batch_size or (len(batch) + 1) * lengths[batch[0]] > TOKENS):
                yield batch
                batch = []
            batch.append(number)
        if batch:
            yield batch

    def _pass(self, sequences: Sequence[tuple[list[int], int]]) -> list[list[float]]:
        """The log-probabilities of each sequence from a place on: (token ids, place)."""
        import torch
        from torch.nn.functional import cross_entropy

        longest, device = max(len(ids) for ids, _ in sequences), self.model.device
        pad = self.tokenizer.pad_token_id or 0
        ids = torch.tensor([[*own, *[pad] * (longest - len(own))] for own, _ in sequences], device=device)
        mask = torch.tensor([[1] * len(own) + [0] * (longest - len(own)) for own, _ in sequences], device=device)
        found = []
        with torch.no_grad():
            logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
            for row, (own, begin) in enumerate(sequences):
                predicted = logits[row, begin - 1 : len(own) - 1].float()
                found.append((-cross_entropy(predicted, ids[row, begin : len(own)], reduction="none")).tolist())
        return found
