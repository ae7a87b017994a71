"""ORPO's mean over the tokens of a step, where the step is split into several passes.

TRL averages the negative log-likelihood of the chosen answers over the tokens of each pass, and the passes with each
other: tokens of short answers weigh more, the more passes there are. Here each pass weighs as many tokens as it has, so
that a step is the same on any hardware.

Source: ``cross_entropy_loss`` in ``ORPOTrainer.concatenated_forward``, ``Trainer.get_batch_samples``.
"""

from __future__ import annotations

from typing import Any

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed

WEIGHT = "nll_weight"
"""The key of a batch's weight: the mean over the passes of a step is 1."""

PATCH = Patch(
    name="orpo_tokens",
    target="get_batch_samples and concatenated_forward of a trl.experimental.orpo.ORPOTrainer",
    reason="TRL averages the likelihood of chosen answers over the tokens of each pass, so that a step split into "
    "several passes is another one than the same step at once.",
    gain="no time; gradients of 16 pairs in one pass and in two are equal to 1e-7 instead of 5e-4 "
    "(perf/results/2026-11-29_whole_step.md)",
    upstream="https://github.com/huggingface/trl/blob/v1.15.0/trl/experimental/orpo/orpo_trainer.py",
    made_for={"trl": "1.15", "transformers": "5.17"},
    expires="when TRL's ORPO trainer counts the tokens of a step, as its SFT trainer does",
    needed_for="ORPO with a step in several passes",
)


def apply(trainer: Any) -> Outcome:
    """Wraps the methods of one ORPO trainer, where its steps have several passes, on one device or several."""
    devices = trainer.accelerator.num_processes
    if trainer.args.gradient_accumulation_steps * devices == 1:
        return not_needed("a step is one pass")
    collect, forward = trainer.get_batch_samples, trainer.concatenated_forward

    def get_batch_samples(*args: Any, **kwargs: Any) -> Any:
        batches, items = collect(*args, **kwargs)
        # The first token of a sequence is predicted by nothing.
        tokens = [int(batch["chosen_attention_mask"][:, 1:].sum()) for batch in batches]
        in_step = sum(tokens)
        if devices > 1:
            in_step = int(trainer.accelerator.gather(batches[0]["chosen_attention_mask"].new_tensor([in_step])).sum())
        for batch, count in zip(batches, tokens, strict=True):
            batch[WEIGHT] = count * len(batches) * devices / max(in_step, 1)
        return batches, items

    def concatenated_forward(model: Any, batch: dict[str, Any]) -> Any:
        outputs = forward(model, batch)
        return (*outputs[:4], outputs[4] * batch.get(WEIGHT, 1.0), *outputs[5:])

    trainer.get_batch_samples = get_batch_samples
    trainer.concatenated_forward = concatenated_forward
    return APPLIED
