"""One forward pass less a step where the policy that samples is the one that learns.

GRPO with vLLM: TRL corrects for the small differences between vLLM's probabilities and the trained model's by the ratio
of the two, and computes the latter in a pass of its own before the first micro-batch. RLOO with any sampler does so for
its old log-probabilities. With one optimizer step a generation nothing is learned in between: the training pass
computes the same numbers again. So they are taken from there. RLOO's ratio is then exactly 1, also in bfloat16, where
passes of another width round otherwise and the differences of a sequence's tokens add up.

Source: ``trl.GRPOTrainer._generate_and_score_completions`` and ``_compute_loss`` for what the ratio is and multiplies;
https://fengyao.notion.site/off-policy-rl for why.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

EXTREMES = {"min": min, "max": max}
"""How the figures of the passes become one of the step; the others are means."""


def applies(trainer: Any) -> bool:
    """Whether the extra pass would compute what the training pass does."""
    arguments = trainer.args
    dropout = any(config.lora_dropout for config in getattr(trainer.model, "peft_config", {}).values())
    return bool(
        (is_rloo(trainer) or (trainer.use_vllm and trainer.vllm_importance_sampling_correction))
        and trainer.num_iterations == 1
        and arguments.gradient_accumulation_steps % arguments.steps_per_generation == 0
        and not dropout
    )


def use_training_pass(trainer: Any) -> None:
    """Takes the importance ratio of a ``trl.GRPOTrainer``, or the old log-probabilities of a ``trl.RLOOTrainer`` (or of
    what Unsloth made of them), from the training pass."""
    if is_rloo(trainer):
        _trl(trainer, _same, spared=not trainer.beta)  # else the reward holds them
        return
    trainer._generate_and_score_completions = uncorrected(trainer)
    if not replace_loss(trainer, Loss):
        _trl(trainer, _correct)


def is_rloo(trainer: Any) -> bool:
    """Whether it is RLOO's trainer and not GRPO's: it corrects for no sampler."""
    return not hasattr(trainer, "vllm_importance_sampling_correction")


def uncorrected(trainer: Any) -> Callable[[Any], Any]:
    """The trainer's scoring without the correction, and so without the pass it needs; the loss still corrects."""
    score = trainer._generate_and_score_completions

    @functools.wraps(score)
    def without_pass(inputs: Any) -> Any:
        trainer.vllm_importance_sampling_correction = False
        try:
            return score(inputs)
        finally:
            trainer.vllm_importance_sampling_correction = True

    return without_pass


def replace_loss(trainer: Any, by: type[Loss]) -> bool:
    """Puts ``by`` around the loss function of Unsloth's trainer, in place of what an earlier trainer put there.

    Returns:
        False where the trainer is TRL's own.
    """
    names = inspect.unwrap(type(trainer).compute_loss).__globals__
    if "UnslothEfficientGRPO" not in names:
        return False
    names["UnslothEfficientGRPO"] = by(names["UnslothEfficientGRPO"])
    return True


class Loss:
    """Unsloth's loss function, given the policy's own log-probabilities for the old ones that were not computed."""

    def __init__(self, loss: Any) -> None:
        self.loss: Any = loss.loss if isinstance(loss, Loss) else loss

    def apply(self, new: Any, old: Any, reference: Any, sampling: Any, *rest: Any) -> Any:
        """As ``torch.autograd.Function.apply``; all [sequences, tokens]."""
        own = new.detach() if old is None and sampling is not None else old
        return self.loss.apply(new, own, reference, sampling, *rest)


def _trl(trainer: Any, put: Callable[[Any, dict[str, Any], Any], None], spared: bool = False) -> None:
    """TRL reads these from the micro-batch after it has computed the log-probabilities: they are put there then.

    Args:
        put: puts them there, from the policy's own log-probabilities.
        spared: a pass outside the loss computes nothing that is read; it is answered with zeros.
    """
    import torch

    loss, logprobs = trainer._compute_loss, trainer._get_per_token_logps_and_entropies
    micro_batch: dict[str, Any] | None = None

    @functools.wraps(loss)
    def compute_loss(model: Any, inputs: dict[str, Any]) -> Any:
        nonlocal micro_batch
        micro_batch = inputs
        try:
            return loss(model, inputs)
        finally:
            micro_batch = None

    @functools.wraps(logprobs)
    def computed(*args: Any, **kwargs: Any) -> Any:
        if spared and micro_batch is None:
            _, ids, _, kept, *_ = args
            return torch.zeros(len(ids), kept, device=ids.device), None, None
        found = logprobs(*args, **kwargs)
        if micro_batch is not None:
            put(trainer, micro_batch, found[0].detach())
        return found

    trainer._compute_loss = compute_loss
    trainer._get_per_token_logps_and_entropies = computed


def _same(trainer: Any, inputs: dict[str, Any], own: Any) -> None:
    """Puts RLOO's old log-probabilities, those of whole sequences, into the micro-batch. Arguments as ``_correct``."""
    inputs["old_logps"] = (own * inputs["completion_mask"]).sum(1)


def _correct(trainer: Any, inputs: dict[str, Any], own: Any) -> None:
    """Puts the importance ratio into the micro-batch, and its figures into the trainer's metrics.

    Args:
        own: the policy's log-probabilities, [sequences, tokens].
    """
    mask = inputs["completion_mask"]
    if "tool_mask" in inputs:
        mask = mask * inputs["tool_mask"]
    apart = own - inputs["sampling_per_token_logps"]
    scored = mask.bool() & ~apart.isnan()  # a token that vLLM could not score is left uncorrected
    difference = apart.where(scored, 0.0)
    mode = trainer.vllm_importance_sampling_mode
    whole = mode.startswith("sequence")
    ratio = (difference.sum(dim=-1, keepdim=True) if whole else difference).exp()
    low, high = trainer.vllm_importance_sampling_clip_min, trainer.vllm_importance_sampling_clip_max
    if mode.endswith("truncate"):
        ratio = ratio.clamp(min=low, max=high)
    else:
        outside = (ratio < (-math.inf if low is None else low)) | (ratio > (math.inf if high is None else high))
        ratio = ratio.masked_fill(outside, 0.0)
    inputs["importance_sampling_ratio"] = ratio
    shown, apart = (ratio if whole else ratio[mask.bool()]).flatten(), apart[scored].abs()
    if not apart.numel():
        return
    metrics = trainer._metrics["train" if trainer.model.training else "eval"]
    for name, value in {
        "sampling_logp_difference/mean": apart.mean(),
        "sampling_logp_difference/max": apart.max(),
        "importance_sampling_ratio/min": shown.min(),
        "importance_sampling_ratio/mean": shown.mean(),
        "importance_sampling_ratio/max": shown.max(),
    }.items():
        held, join = metrics[f"sampling/{name}"], EXTREMES.get(name.rpartition("/")[2])
        if join and held and trainer._step % trainer.args.steps_per_generation:  # of the step, not of the pass
            held[-1] = join(held[-1], value.item())
        else:
            held.append(value.item())
