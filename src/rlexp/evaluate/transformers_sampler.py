"""Samples with transformers' ``generate``, on the model as it is loaded (also one that is being trained)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlexp.backend.model import end_tokens
from rlexp.backend.prompts import Dialogue, rendered
from rlexp.compose.run import Run
from rlexp.evaluate.sampler import Completion, Sampling

MOST = 64
"""Sequences that are decoded together at most."""


class TransformersSampler:
    """A ``Sampler`` over a loaded model.

    Args:
        run: says how dialogues are rendered and how many sequences the hardware takes at once.
        model: a causal language model of transformers, PEFT or Unsloth.
        tokenizer: its tokenizer.
    """

    def __init__(self, run: Run, model: Any, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.template_kwargs = run.chat_template_kwargs
        self.batch_size = min(run.hardware.sequences_per_device or 1, MOST)

    def sample(
        self, dialogues: Sequence[Dialogue], n: int, sampling: Sampling, seed: int, logprobs: bool = False
    ) -> list[list[Completion]]:
        """Does as ``Sampler.sample``. The model's mode and the tokenizer's padding are put back."""
        import torch

        model, tokenizer, device = self.model, self.tokenizer, self.model.device
        ends = end_tokens(model, tokenizer)
        texts = [text for text in rendered(tokenizer, dialogues, self.template_kwargs) for _ in range(n)]
        found: list[tuple[list[int], list[float] | None]] = []
        side, tokenizer.padding_side = tokenizer.padding_side, "left"
        was_training = model.training
        if hasattr(model, "for_inference"):
            model.for_inference()
        model.eval()
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.no_grad():
            torch.manual_seed(seed)
            for start in range(0, len(texts), self.batch_size):
                found += self._batch(texts[start : start + self.batch_size], sampling, ends, logprobs)
        if hasattr(model, "for_training"):
            model.for_training()
        model.train(was_training)
        tokenizer.padding_side = side
        decoded = tokenizer.batch_decode([ids for ids, _ in found], skip_special_tokens=True)
        completions = [
            Completion(ids, text, not ids or ids[-1] not in ends, scores)
            for (ids, scores), text in zip(found, decoded, strict=True)
        ]
        return [completions[start : start + n] for start in range(0, len(completions), n)]

    def _batch(
        self, texts: list[str], sampling: Sampling, ends: set[int], logprobs: bool
    ) -> list[tuple[list[int], list[float] | None]]:
        """(token ids, log-probabilities) of one completion of each text."""
        tokenizer, model = self.tokenizer, self.model
        batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        how: dict[str, Any] = {"do_sample": False}
        if sampling.temperature:
            how = {"do_sample": True, "temperature": sampling.temperature}
        out = model.generate(
            **batch.to(model.device),
            max_new_tokens=sampling.max_new_tokens,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            pad_token_id=tokenizer.pad_token_id,
            **({"return_dict_in_generate": True, "output_logits": True} if logprobs else {}),
            **how,
            **sampling.more,
        )
        rows = (out.sequences if logprobs else out)[:, batch["input_ids"].shape[1] :]
        completions = [until_end(row, ends) for row in rows.tolist()]
        if not logprobs:
            return [(ids, None) for ids in completions]
        # [tokens][sequences]: of every step, the log-probability of the token that was sampled.
        steps = [
            logits.float().log_softmax(dim=-1).gather(-1, rows[:, step : step + 1])[:, 0].tolist()
            for step, logits in enumerate(out.logits)
        ]
        return [(ids, [steps[step][row] for step in range(len(ids))]) for row, ids in enumerate(completions)]


def until_end(ids: list[int], ends: set[int]) -> list[int]:
    """The ids up to and with the first that ends a completion."""
    for position, token in enumerate(ids):
        if token in ends:
            return ids[: position + 1]
    return ids
