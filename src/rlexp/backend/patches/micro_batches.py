"""Micro-batches of sequences of like length, each padded to its own longest only.

TRL pads the completions of a step to the longest of them all, shuffles, and splits them into the micro-batches of one
optimizer step: every pass computes as many columns as the longest sequence has. Sorted by length first, a pass needs no
more than its own longest. The gradient of the step is the same sum in another order. The longest go first, so that the
peak of memory shows at once.

Source: ``trl.GRPOTrainer._prepare_inputs`` for the split and ``_compute_loss`` for what a loss divides by.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed

if TYPE_CHECKING:
    from rlexp.backend.trainers.protocol import Logprobs, OnlineTrainer

PROMPT = frozenset({"prompt_ids", "prompt_mask"})
"""[sequences, prompt tokens], padded on the left."""
COMPLETION = frozenset(
    {
        "completion_ids",
        "completion_mask",
        "tool_mask",
        "old_per_token_logps",
        "ref_per_token_logps",
        "sampling_per_token_logps",
        "importance_sampling_ratio",
    }
)
"""[sequences, completion tokens], padded on the right; the last also [sequences, 1]."""
WHOLE = frozenset({"advantages", "old_logps", "num_items_in_batch"})
"""[sequences], or one number for the step."""
TOKEN_MEANS = ("entropy", "kl", "sampling/sampling_logp_difference/mean")
CLIPPED = ("clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean", "cispo_clip_ratio")
"""Metrics that TRL takes as means over the tokens of a pass (CLIPPED: where ratios are token by token), and then as
means over the passes."""
EXTREMES = {"clip_ratio/low_min": min, "clip_ratio/high_max": max}
"""Metrics of the sequence that is clipped least or most in a pass, of which TRL takes the mean as well."""
BY_MICRO_BATCH = frozenset({"bnpo"})
"""Losses that divide by the tokens of the micro-batch: its members matter."""
BY_WIDTH = frozenset({"dynamic", "longrope"})
"""Rotary embeddings that differ with the number of columns."""

PATCH = Patch(
    name="micro_batches",
    target="_prepare_inputs, _compute_loss and _get_per_token_logps_and_entropies of a trl.GRPOTrainer or RLOOTrainer",
    reason="TRL pads every completion of a step to the longest of them all before it splits them into micro-batches.",
    gain="18% of the columns were padding, 4% sorted; passes 23.25 -> 19.40 s of a step at 135M on a CPU "
    "(perf/results/2026-11-25_micro_batches.md)",
    upstream="https://github.com/huggingface/trl/issues/7179",
    made_for={"trl": "1.15", "unsloth": "2026.10"},
    expires="when TRL pads every micro-batch by itself",
)


def apply(trainer: OnlineTrainer) -> Outcome:
    """Sorts the micro-batches of a trainer by length where that leaves its gradient as it is."""
    arguments = trainer.args
    if arguments.steps_per_generation <= 1:
        return not_needed("a step is one pass")
    if not applies(trainer):
        return not_needed("the loss depends on which sequences share a pass, or on the columns in front of them")
    by_length(trainer)
    return APPLIED


def applies(trainer: OnlineTrainer) -> bool:
    """Says whether a step has several passes, and its gradient does not depend on which sequences share one."""
    arguments = trainer.args
    return bool(
        arguments.steps_per_generation > 1
        and arguments.steps_per_generation == arguments.gradient_accumulation_steps
        and trainer.num_iterations == 1
        and getattr(trainer, "loss_type", None) not in BY_MICRO_BATCH
        and getattr(trainer, "top_entropy_quantile", 1.0) == 1.0
        and not getattr(trainer, "_entropy_bonus_enabled", False)
        and not trainer.aux_loss_enabled
        and not arguments.pad_to_multiple_of
        and rotary(trainer.model.config)
    )


def rotary(config: Any) -> bool:
    """Says whether attention sees the distance of tokens and nothing else, so that padding in front shifts nothing.

    TRL counts positions from the first column, padding or not. Learned positions are shifted by it, and the rotation of
    the two BY_WIDTH follows the longest sequence that is seen.
    """
    parameters = getattr(config.get_text_config(), "rope_parameters", None) or {}
    kinds = [parameters] if "rope_type" in parameters else [k for k in parameters.values() if isinstance(k, dict)]
    return bool(kinds) and not any(kind.get("rope_type", "default") in BY_WIDTH for kind in kinds)


def by_length(trainer: OnlineTrainer) -> None:
    """Sorts the micro-batches of a ``trl.GRPOTrainer`` or ``RLOOTrainer`` (or what Unsloth made of it) by length."""
    prepare, loss = trainer._prepare_inputs, trainer._compute_loss
    means = TOKEN_MEANS + (CLIPPED if getattr(trainer, "importance_sampling_level", "") == "token" else ())
    shares: list[float] = []

    @functools.wraps(prepare)
    def prepare_inputs(rows: Any) -> Any:
        nonlocal shares
        buffered = trainer._buffered_inputs
        inputs = prepare(rows)
        if trainer._buffered_inputs is buffered:  # of the generation that is being trained on, or an evaluation
            return inputs
        trainer._buffered_inputs = resplit(trainer._buffered_inputs)
        counts = [_trained(batch) for batch in trainer._buffered_inputs]
        shares = [count * len(counts) / max(1, sum(counts)) for count in counts]
        return trainer._buffered_inputs[trainer._step % trainer.args.steps_per_generation]

    @functools.wraps(loss)
    def compute_loss(model: Any, inputs: dict[str, Any]) -> Any:
        metrics = trainer._metrics["train"]
        before = {name: len(metrics.get(name, ())) for name in (*means, *EXTREMES)}
        made = loss(model, inputs)
        if trainer.model.training:
            for name in means:
                if len(values := metrics.get(name, [])) > before[name]:
                    # A pass of short sequences must not count as much as one of long ones.
                    values[-1] *= shares[trainer._step % len(shares)]
            for name, join in EXTREMES.items():
                values = metrics.get(name, [])
                if len(values) > before[name] and trainer._step % len(shares):
                    values[-2:] = [join(values[-2:])]
        return made

    trainer._prepare_inputs, trainer._compute_loss = prepare_inputs, compute_loss
    logprobs = trainer._get_per_token_logps_and_entropies
    if "compute_efficient" not in inspect.signature(logprobs).parameters:  # Unsloth's, which pads none
        trainer._get_per_token_logps_and_entropies = _passes(trainer, logprobs)


def _passes(trainer: OnlineTrainer, compute: Logprobs) -> Logprobs:
    """The passes before the training's (old and reference log-probabilities) by length, too; what is padding stays 0.

    The training pass itself and an evaluation go through as they are.
    """
    import torch

    @functools.wraps(compute)
    def computed(
        model: Any, ids: Any, mask: Any, logits_to_keep: int, batch_size: int | None = None, **rest: Any
    ) -> Any:
        more = any(value is not None and value is not False for value in rest.values())
        if batch_size is None or batch_size >= len(ids) or more or not trainer.model.training:
            return compute(model, ids, mask, logits_to_keep, batch_size, **rest)
        logps = torch.zeros(len(ids), logits_to_keep, device=ids.device)
        for chosen in mask.sum(dim=1).argsort(descending=True, stable=True).split(batch_size):
            used = mask[chosen].any(dim=0).nonzero().flatten()
            first, padding = int(used[0]), min(mask.shape[1] - 1 - int(used[-1]), logits_to_keep - 1)
            columns = slice(first, mask.shape[1] - padding)
            width = logits_to_keep - padding
            own = compute(model, ids[chosen, columns], mask[chosen, columns], width, None, **rest)[0]
            logps[chosen, :width] = own.float()
        return logps, None, None

    return computed


def resplit(batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same sequences in as many micro-batches of the same size, longest first, each as wide as its longest.

    Args:
        batches: TRL's; what holds anything but the text of prompts and completions (images, Unsloth's
            ``max_left_pad``: it packs sequences without padding itself) is given back as it is.
    """
    import torch

    names = [name for name, value in batches[0].items() if value is not None]
    if not set(names) <= PROMPT | COMPLETION | WHOLE:
        return batches
    step = {
        name: torch.cat([batch[name] for batch in batches]) if batches[0][name].ndim else batches[0][name]
        for name in names
    }
    lengths = step["prompt_mask"].sum(dim=1) + step["completion_mask"].sum(dim=1)
    order = lengths.argsort(descending=True, stable=True)
    return [
        _without_padding({name: value[chosen] if value.ndim else value for name, value in step.items()})
        for chosen in order.chunk(len(batches))
    ]


def _trained(batch: dict[str, Any]) -> int:
    """Tokens of a micro-batch that are trained on."""
    mask = batch["completion_mask"]
    return int((mask * batch["tool_mask"] if "tool_mask" in batch else mask).sum())


def _without_padding(batch: dict[str, Any]) -> dict[str, Any]:
    """The micro-batch without the columns that are padding in every row; one completion column stays where nothing is
    trained on."""
    prompt = int(batch["prompt_mask"].sum(dim=1).max())
    completion = max(1, int(batch["completion_mask"].sum(dim=1).max()))
    width = batch["prompt_mask"].shape[1]
    return {
        name: value[:, width - prompt :] if name in PROMPT else value[:, :completion] if name in COMPLETION else value
        for name, value in batch.items()
    }
