"""A legal and an illegal value for every argument of TRL's that can be typed: what ``test_every_argument`` tries."""

from __future__ import annotations

import math
from typing import Any

from rlexp.compose.methods import Method

LEGAL: dict[str, tuple[str, ...]] = {
    "beta": ("0.2",),
    "cache_implementation": ("static",),
    "chat_template_kwargs": ("{enable_thinking: false}",),
    "dataloader_multiprocessing_context": ("fork", "dataloader_num_workers=1"),
    "dataloader_num_workers": ("1",),
    "dataloader_persistent_workers": ("true", "dataloader_num_workers=1"),
    "dataloader_prefetch_factor": ("2", "dataloader_num_workers=1"),
    "discopop_tau": ("0.1", "loss_type=[discopop]"),
    "entropy_coef_delta": ("0.01", "use_adaptive_entropy=true"),
    "entropy_coef_max": ("0.5", "use_adaptive_entropy=true"),
    "entropy_coef_min": ("0.1", "use_adaptive_entropy=true"),
    "entropy_target": ("0.3", "use_adaptive_entropy=true"),
    "epsilon_high": ("0.3",),
    "f_alpha_divergence_coef": ("0.3", "f_divergence_type=alpha_divergence"),
    "f_divergence_type": ("forward_kl",),
    "generation_kwargs": ("{no_repeat_ngram_size: 3}",),
    "include_num_input_tokens_seen": ("all",),
    "loss_weights": ("[0.5]",),
    "lr_scheduler_kwargs": ("{num_cycles: 0.4}", "lr_scheduler_type=cosine"),
    "lr_scheduler_type": ("polynomial",),
    "max_completion_length": ("16",),
    "max_length": ("64",),
    "max_steps": ("1",),
    "num_generations": ("4",),
    "num_train_epochs": ("1", "max_steps=-1"),
    "optim": ("adafactor",),
    "optim_args": ('"momentum=0.5"', "optim=sgd"),
    "pad_token": ('"<|im_end|>"',),
    "eos_token": ('"<|im_end|>"',),
    "padding_value": ("0",),
    "precompute_ref_batch_size": ("4", "precompute_ref_log_probs=true"),
    "ref_model_mixup_alpha": (),
    "ref_model_sync_steps": (),
    "reward_clip_range": ("[-1.0, 1.0]",),
    "sapo_temperature_neg": ("1.2", "loss_type=sapo"),
    "sapo_temperature_pos": ("1.2", "loss_type=sapo"),
    "save_strategy": ("no",),
    "sync_ref_model": ("true", "beta=0.2"),
    "top_k": ("5",),
    "train_sampling_strategy": ("sequential",),
    "vespo_k_neg": ("2.0", "loss_type=vespo"),
    "vespo_k_pos": ("3.0", "loss_type=vespo"),
    "vespo_lambda_neg": ("3.0", "loss_type=vespo"),
    "vespo_lambda_pos": ("2.0", "loss_type=vespo"),
    "warmup_steps": ("1", "lr_scheduler_type=cosine"),
}
"""Argument -> a value that a CPU can train with, and what it takes beside it; empty where an adapter cannot have it."""
NEEDS_MORE = {
    "activation_offloading": "no device to offload from",
    "assistant_only_loss": "not training-compatible",
    "cast_lm_head_to_fp32": "embed_tokens",
    "optim_target_modules": "reads no optim_target_modules",
    "packing": "packed on a GPU only",
    "packing_strategy": "packed on a GPU only",
    "router_aux_loss_coef": "not a Mixture-of-Experts",
    "sync_ref_model": "which stays as it is",
    "vllm_importance_sampling_clip_max": "vLLM alone reads",
    "vllm_importance_sampling_clip_min": "vLLM alone reads",
    "vllm_importance_sampling_correction": "vLLM alone reads",
    "vllm_importance_sampling_mode": "vLLM alone reads",
    "vllm_structured_outputs_regex": "vLLM alone reads",
}
"""Arguments that a CPU, an adapter or the tiny model cannot have, and what is said of them."""


def legal(method: Method, name: str) -> list[str] | None:
    """The overrides that give an argument another value than TRL's, and what it needs beside it; None where none can
    be given here."""
    entry = method.arguments[name]
    if name == "packing_strategy":
        return ["method.packing=true", "method.packing_strategy=wrapped"]
    if name in LEGAL:
        return [f"method.{name}={LEGAL[name][0]}", *(f"method.{o}" for o in LEGAL[name][1:])] if LEGAL[name] else None
    return [f"method.{name}={_other(method, name, entry)}"]


def _other(method: Method, name: str, entry: dict[str, Any]) -> Any:
    default = entry["default"]
    if choices := entry.get("choices"):
        other = next(
            choice for choice in choices if choice not in (str(default), "chunked_nll") and [choice] != default
        )
        return f"[{other}]" if isinstance(default, list) else other
    if entry["type"] == "bool":
        return str(not default).lower()
    if entry["type"] in ("int", "float"):
        allowed = method.range_of(name)
        steps = (default or 0) + 1 if entry["type"] == "int" else (default or 0) * 0.9 or 0.1
        return steps if allowed.holds(steps) else default
    return {"str": "x", "dict": "{x: 1}", "list[str]": "[x]", "list[float]": "[0.5]", "any": "x"}[entry["type"]]


def illegal(method: Method, name: str) -> str | None:
    """An override that gives an argument a value that it cannot have; None where any is taken."""
    entry, key = method.arguments[name], f"method.{name}"
    if entry.get("choices"):
        return f"{key}=[nonsense]" if entry["type"].startswith("list") else f"{key}=nonsense"
    if entry["type"] in ("int", "float"):
        allowed = method.range_of(name)
        return f"{key}={math.floor(allowed.low) - 1 if allowed.low > -math.inf else 'nan'}"
    texts = {"bool": "maybe", "list[str]": "5", "list[float]": "[a]"}
    return f"{key}={texts[entry['type']]}" if entry["type"] in texts else None
