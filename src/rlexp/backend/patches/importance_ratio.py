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
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed
from rlexp.errors import RunError
from rlexp.record.lock import versions

if TYPE_CHECKING:
    from rlexp.backend.trainers.protocol import GRPOTrainer, OnlineTrainer, Trainer

EXTREMES = {"min": min, "max": max}
"""The function that makes one figure of the step out of those of its passes; the others are means."""
UNSLOTHS_LOSS = "UnslothEfficientGRPO"
"""The autograd function that the loss of Unsloth's GRPO trainer looks up in its own module."""

PATCH = Patch(
    name="importance_ratio",
    target="_generate_and_score_completions, _compute_loss and _get_per_token_logps_and_entropies of a "
    f"trl.GRPOTrainer or RLOOTrainer; {UNSLOTHS_LOSS} in the module that Unsloth writes for GRPO",
    reason="TRL computes the policy's log-probabilities in a pass of its own, which the training pass computes again.",
    gain="a forward pass each step: 0.60 s of TRL's 5.69 s, none here, at 4B on an H100 "
    "(perf/results/2026-11-25_4b_h100.md); RLOO 0.43 -> 0.34 s a step on a CPU "
    "(perf/results/2026-11-25_micro_batches.md)",
    upstream="https://github.com/huggingface/trl/issues/5412",
    made_for={"trl": "1.15", "unsloth": "2026.10"},
    expires="when TRL and Unsloth skip the pass where the policy that samples is the one that learns",
)


def apply(trainer: OnlineTrainer) -> Outcome:
    """Takes the ratio from the training pass where the extra pass would compute the same."""
    if not applies(trainer):
        return not_needed("there is no extra pass, or it does not compute what the training pass does")
    use_training_pass(trainer)
    return APPLIED


def applies(trainer: OnlineTrainer) -> bool:
    """Says whether the extra pass would compute what the training pass does."""
    arguments = trainer.args
    dropout = any(config.lora_dropout for config in getattr(trainer.model, "peft_config", {}).values())
    return bool(
        (not is_grpo(trainer) or (trainer.use_vllm and trainer.vllm_importance_sampling_correction))
        and trainer.num_iterations == 1
        and arguments.gradient_accumulation_steps % arguments.steps_per_generation == 0
        and not dropout
    )


def use_training_pass(trainer: OnlineTrainer) -> None:
    """Takes the importance ratio of a ``trl.GRPOTrainer``, or the old log-probabilities of a ``trl.RLOOTrainer`` (or of
    what Unsloth made of them), from the training pass."""
    if not is_grpo(trainer):
        _trl(trainer, _same, spared=not trainer.beta)  # else the reward holds them
        return
    if is_rewritten(trainer):
        replace_loss(trainer, Loss, PATCH.name)
    else:
        _trl(trainer, _correct)
    trainer._generate_and_score_completions = uncorrected(trainer)


def is_grpo(trainer: OnlineTrainer) -> TypeGuard[GRPOTrainer]:
    """Says whether it is GRPO's trainer and not RLOO's, which corrects for no sampler."""
    return hasattr(trainer, "vllm_importance_sampling_correction")


def uncorrected(trainer: GRPOTrainer) -> Callable[[Any], Any]:
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


def is_rewritten(trainer: Trainer) -> bool:
    """Says whether Unsloth is loaded and rewrote the trainer's class; its CPU back end leaves TRL's own."""
    classes = type(trainer).__mro__
    return "unsloth" in sys.modules and any(c.__module__.startswith("Unsloth") for c in classes)


def replace_loss(trainer: OnlineTrainer, by: type[Loss], patch: str) -> None:
    """Puts ``by`` around the loss function of a trainer that Unsloth rewrote, in place of what an earlier trainer put
    there.

    Args:
        patch: the name of the patch that needs it, for the message.

    Raises:
        RunError: Unsloth's trainer looks its loss function up elsewhere.
    """
    names = inspect.unwrap(type(trainer).compute_loss).__globals__
    if UNSLOTHS_LOSS not in names:
        installed = versions()
        raise RunError(
            f"the patch {patch} does not find {UNSLOTHS_LOSS} in the trainer that Unsloth wrote",
            where=f"unsloth {installed.get('unsloth')}, trl {installed.get('trl')}",
            hint=f"install the versions of constraints-gpu.txt (unsloth {PATCH.made_for['unsloth']}), or type "
            "rollout.patches=off",
        )
    names[UNSLOTHS_LOSS] = by(names[UNSLOTHS_LOSS])


class Loss:
    """Unsloth's loss function, given the policy's own log-probabilities for the old ones that were not computed."""

    def __init__(self, loss: Any) -> None:
        self.loss: Any = loss.loss if isinstance(loss, Loss) else loss

    def apply(self, new: Any, old: Any, reference: Any, sampling: Any, *rest: Any) -> Any:
        """Does as ``torch.autograd.Function.apply``; all [sequences, tokens]."""
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
            _, ids, _, logits_to_keep, *_ = args
            return torch.zeros(len(ids), logits_to_keep, device=ids.device), None, None
        answer = logprobs(*args, **kwargs)
        if micro_batch is not None:
            put(trainer, micro_batch, answer[0].detach())
        return answer

    trainer._compute_loss = compute_loss
    trainer._get_per_token_logps_and_entropies = computed


def _same(trainer: OnlineTrainer, inputs: dict[str, Any], own: Any) -> None:
    """Puts RLOO's old log-probabilities, those of whole sequences, into the micro-batch. Arguments as ``_correct``."""
    inputs["old_logps"] = (own * inputs["completion_mask"]).sum(1)


def _correct(trainer: GRPOTrainer, inputs: dict[str, Any], own: Any) -> None:
    """Puts the importance ratio into the micro-batch, and its figures into the trainer's metrics.

    Args:
        own: the policy's log-probabilities, [sequences, tokens].
    """
    mask = inputs["completion_mask"]
    if "tool_mask" in inputs:
        mask = mask * inputs["tool_mask"]
    unmasked = own - inputs["sampling_per_token_logps"]
    scored = mask.bool() & ~unmasked.isnan()  # a token that vLLM could not score is left uncorrected
    difference = unmasked.where(scored, 0.0)
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
    logged, distance = (ratio if whole else ratio[mask.bool()]).flatten(), unmasked[scored].abs()
    if not distance.numel():
        return
    metrics = trainer._metrics["train" if trainer.model.training else "eval"]
    for name, value in {
        "sampling_logp_difference/mean": distance.mean(),
        "sampling_logp_difference/max": distance.max(),
        "importance_sampling_ratio/min": logged.min(),
        "importance_sampling_ratio/mean": logged.mean(),
        "importance_sampling_ratio/max": logged.max(),
    }.items():
        values, join = metrics[f"sampling/{name}"], EXTREMES.get(name.rpartition("/")[2])
        if join and values and trainer._step % trainer.args.steps_per_generation:  # of the step, not of the pass
            values[-1] = join(values[-1], value.item())
        else:
            values.append(value.item())
