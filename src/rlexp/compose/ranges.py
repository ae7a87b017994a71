"""The ranges of numbers: of the config's own keys (beside their types, in ``schema``) and of TRL's arguments. Pure."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rlexp.errors import RunError

WHOLE = 2**31 - 1
"""The largest whole number that the libraries count with."""


@dataclass(frozen=True)
class Range:
    """The finite numbers from ``low`` to ``high``; both count unless ``above`` or ``below`` says otherwise."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    """``low`` itself is outside."""
    below: bool = False
    """``high`` itself is outside."""

    def holds(self, value: float) -> bool:
        """Says whether a number lies inside; infinite ones and NaN never do."""
        inside = self.low < value < self.high
        on_edge = (value == self.low and not self.above) or (value == self.high and not self.below)
        return math.isfinite(value) and (inside or on_edge)

    def nearest(self, value: float) -> float | None:
        """The end of the range that a number lies beyond, where that end is inside; else None."""
        end = self.low if value < self.low else self.high
        return end if self.holds(end) and math.isfinite(value) else None

    def __str__(self) -> str:
        bounded = self.high not in (math.inf, WHOLE)
        if self.low > -math.inf and bounded and not (self.above or self.below):
            return f"from {_shown(self.low)} to {_shown(self.high)}"
        ends = []
        if self.low > -math.inf:
            ends.append(f"{'above' if self.above else 'at least'} {_shown(self.low)}")
        if bounded:
            ends.append(f"{'below' if self.below else 'at most'} {_shown(self.high)}")
        return " and ".join(ends)


def _shown(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


ANY, POSITIVE, FROM_0, SHARE, BELOW_1 = Range(), Range(0, above=True), Range(0), Range(0, 1), Range(0, 1, below=True)
COUNT, COUNT_FROM_0 = Range(1, WHOLE), Range(0, WHOLE)

ARGUMENTS = {
    "adam_beta1": BELOW_1,
    "adam_beta2": BELOW_1,
    "adam_epsilon": POSITIVE,
    "beta": FROM_0,
    "dataloader_num_workers": Range(0, 1024),
    "dataloader_prefetch_factor": COUNT,
    "dataset_num_proc": Range(1, 1024),
    "delta": POSITIVE,
    "desirable_weight": POSITIVE,
    "discopop_tau": POSITIVE,
    "entropy_coef": FROM_0,
    "entropy_coef_delta": FROM_0,
    "entropy_coef_max": FROM_0,
    "entropy_coef_min": FROM_0,
    "entropy_target": FROM_0,
    "epsilon": FROM_0,
    "epsilon_high": FROM_0,
    "eval_accumulation_steps": COUNT,
    "f_alpha_divergence_coef": ANY,
    "label_smoothing": Range(0, 0.5, below=True),
    "label_smoothing_factor": BELOW_1,
    "ld_alpha": SHARE,
    "learning_rate": POSITIVE,
    "logging_steps": POSITIVE,
    "max_completion_length": COUNT,
    "max_grad_norm": FROM_0,
    "max_length": Range(2, WHOLE),
    "max_steps": Range(-1, WHOLE),
    "min_p": SHARE,
    "neftune_noise_alpha": FROM_0,
    "num_generations": Range(2, 2**20),
    "num_iterations": COUNT,
    "num_train_epochs": POSITIVE,
    "off_policy_mask_threshold": FROM_0,
    "pad_to_multiple_of": COUNT,
    "padding_value": ANY,
    "precompute_ref_batch_size": COUNT,
    "ref_model_mixup_alpha": SHARE,
    "ref_model_sync_steps": COUNT,
    "repetition_penalty": POSITIVE,
    "router_aux_loss_coef": FROM_0,
    "sapo_temperature_neg": POSITIVE,
    "sapo_temperature_pos": POSITIVE,
    "save_steps": POSITIVE,
    "save_total_limit": COUNT,
    "temperature": POSITIVE,
    "top_entropy_quantile": Range(0, 1, above=True),
    "top_k": COUNT_FROM_0,
    "top_p": Range(0, 1, above=True),
    "torch_empty_cache_steps": COUNT,
    "undesirable_weight": POSITIVE,
    "vespo_k_neg": FROM_0,
    "vespo_k_pos": FROM_0,
    "vespo_lambda_neg": FROM_0,
    "vespo_lambda_pos": FROM_0,
    "vllm_importance_sampling_clip_max": POSITIVE,
    "vllm_importance_sampling_clip_min": FROM_0,
    "warmup_steps": FROM_0,
    "weight_decay": FROM_0,
}
"""TRL's argument -> the numbers that mean something. A test holds the table against every number that can be typed."""


def ranged(default: Any, allowed: Range) -> Any:
    """A dataclass field of a number with the range that it must lie in."""
    return dataclasses.field(default=default, metadata={"range": allowed})


def named(default: Any, pattern: dict[str, Any]) -> Any:
    """A dataclass field of text with the shape it must have (``shapes.NAME``)."""
    return dataclasses.field(default=default, metadata={"shape": pattern})


def require(value: float, allowed: Range, where: str) -> None:
    """Raises a RunError where a number lies outside of its range."""
    if allowed.holds(value):
        return
    end = allowed.nearest(value)
    words = f"{allowed}" or "a finite one"
    hint = f"type {where}=NUMBER, {words}" if end is None else f"type {where}={_shown(end)} ({words})"
    raise RunError(f"{where} is {value}", where=where, hint=hint)


def require_fields(config: Any, where: str = "") -> None:
    """Holds every field of a dataclass, and of those inside it, against its range or shape.

    Args:
        where: the key of the dataclass in the tree, with a dot behind it.

    Raises:
        RunError: the first one outside of it, or a number that is not finite.
    """
    for field in dataclasses.fields(config):
        value, key = getattr(config, field.name), f"{where}{field.name}"
        for inner, item in _leaves(value, key):
            if dataclasses.is_dataclass(item):
                require_fields(item, f"{inner}.")
            elif isinstance(item, int | float) and not isinstance(item, bool):
                require(item, field.metadata.get("range", ANY), inner)
            elif isinstance(item, str) and "shape" in field.metadata:
                _require_shape(item, field.metadata["shape"], inner)


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, key)
    else:
        yield key, value


def _require_shape(text: str, shape: dict[str, Any], where: str) -> None:
    if not re.search(shape["pattern"], text) or len(text) > shape.get("maxLength", len(text)):
        shown = repr(text if len(text) <= 80 else f"{text[:80]}...")
        raise RunError(f"{shown} is not {shape['description']}", where=where, hint=f"type {where}=NAME")
