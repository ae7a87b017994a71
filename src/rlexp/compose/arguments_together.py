"""Refuses arguments of a method that do not go together, or that nothing here could serve. Pure.

TRL finds most of these only when its trainer is built, transformers some of them after the first step, and a few are
never found: they are ignored.
"""

from __future__ import annotations

from typing import Any

from rlexp.compose.methods import Method, table
from rlexp.compose.schema import DatasetType
from rlexp.compose.whole_step import KTO
from rlexp.errors import RunError, nearest

PAIRED = (DatasetType.preference, DatasetType.unpaired_preference)
WHOLE_ABOVE_1 = ("logging_steps", "save_steps", "warmup_steps")
"""Steps where they are 1 or more, a share of the run below."""
NEEDED_BY_SCHEDULE = {
    "cosine_with_min_lr": ("min_lr", "min_lr_rate"),
    "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate"),
    "warmup_stable_decay": ("num_decay_steps",),
}
"""Schedule -> the keys of ``lr_scheduler_kwargs`` of which it needs one."""
WORKERS = ("dataloader_num_workers", (), "method.dataloader_num_workers=2")
SYNC = ("sync_ref_model", (), "method.sync_ref_model=true")
ADAPTIVE = ("use_adaptive_entropy", (), "method.use_adaptive_entropy=true")
ALPHA = "alpha_divergence"
READ_WITH: dict[str, tuple[str, tuple[str, ...], str]] = {
    "dataloader_prefetch_factor": WORKERS,
    "dataloader_persistent_workers": WORKERS,
    "dataloader_multiprocessing_context": WORKERS,
    "packing_strategy": ("packing", (), "method.packing=true"),
    "precompute_ref_batch_size": ("precompute_ref_log_probs", (), "method.precompute_ref_log_probs=true"),
    **dict.fromkeys(("ref_model_mixup_alpha", "ref_model_sync_steps"), SYNC),
    **dict.fromkeys(("entropy_coef_delta", "entropy_coef_max", "entropy_coef_min", "entropy_target"), ADAPTIVE),
    "discopop_tau": ("loss_type", ("discopop",), "method.loss_type=[discopop]"),
    "f_alpha_divergence_coef": ("f_divergence_type", (ALPHA,), f"method.f_divergence_type={ALPHA}"),
    **{f"sapo_temperature_{sign}": ("loss_type", ("sapo",), "method.loss_type=sapo") for sign in ("neg", "pos")},
    **{
        f"vespo_{name}_{sign}": ("loss_type", ("vespo",), "method.loss_type=vespo")
        for name in ("k", "lambda")
        for sign in ("neg", "pos")
    },
}
"""Argument -> the one without which nothing reads it, the values of that one with which it is read (any that is not
empty, where none are named), and what to type."""


def check(method: Method, arguments: dict[str, Any]) -> None:
    """Checks the arguments of a method against each other.

    Raises:
        RunError: the first two that do not go together.
    """
    _unserved(method, arguments)
    _length(arguments)
    _schedule(arguments)
    _read(method, arguments)
    _losses(method, arguments)


def _unserved(method: Method, arguments: dict[str, Any]) -> None:
    for name, instead in method.unserved.items():
        if arguments[name] != method.arguments[name]["default"]:
            raise RunError(
                f"method.{name} is not set by hand: {instead}", where=f"method.{name}", hint=f"leave method.{name} out"
            )
    if arguments["save_strategy"] == "best":
        raise RunError(
            "the best checkpoint is not looked for while it trains",
            where="method.save_strategy",
            hint="type method.save_strategy=steps; held_out.every=10 measures while it trains",
        )


def _length(arguments: dict[str, Any]) -> None:
    if arguments["max_steps"] == 0:
        raise RunError(
            "max_steps is 0: nothing would be trained",
            where="method.max_steps",
            hint="type method.max_steps=60, or method.num_train_epochs=1",
        )
    for name in WHOLE_ABOVE_1:
        value = arguments[name]
        if value is not None and value > 1 and value != int(value):
            raise RunError(
                f"{name} is {value}: neither a number of steps nor a share of the run",
                where=f"method.{name}",
                hint=f"type method.{name}={int(value)}, or a share below 1",
            )


def _schedule(arguments: dict[str, Any]) -> None:
    schedule, given = arguments["lr_scheduler_type"], arguments["lr_scheduler_kwargs"] or {}
    if schedule == "constant" and arguments["warmup_steps"]:
        raise RunError(
            "a constant schedule has no warmup: warmup_steps would be ignored",
            where="method.lr_scheduler_type, method.warmup_steps",
            hint="type method.lr_scheduler_type=constant_with_warmup, or method.warmup_steps=0",
        )
    if schedule in ("reduce_lr_on_plateau", "greedy"):
        raise RunError(
            f"{schedule} follows evaluations while training, which there are none of",
            where="method.lr_scheduler_type",
            hint="type method.lr_scheduler_type=cosine",
        )
    needed = NEEDED_BY_SCHEDULE.get(schedule, ())
    if needed and not set(needed) & set(given):
        example = "0.1" if needed[-1] == "min_lr_rate" else "10"
        raise RunError(
            f"{schedule} needs {' or '.join(needed)}",
            where="method.lr_scheduler_kwargs",
            hint=f"type 'method.lr_scheduler_kwargs={{{needed[-1]}: {example}}}'",
        )
    taken = table()["schedules"][schedule]
    for name in given:
        if name not in taken:
            guess = nearest(name, taken)
            hint = f"type 'method.lr_scheduler_kwargs={{{guess}: {given[name]}}}'" if guess else "leave it out"
            raise RunError(
                f"the schedule {schedule} takes {', '.join(taken) or 'no arguments'}, not {name}",
                where=f"method.lr_scheduler_kwargs.{name}",
                hint=hint,
            )


def _read(method: Method, arguments: dict[str, Any]) -> None:
    for name, (other, values, hint) in READ_WITH.items():
        if name not in arguments or arguments[name] == method.arguments[name]["default"]:
            continue
        held = arguments[other]
        if not (set(values) & set(held if isinstance(held, list) else [held]) if values else held):
            raise RunError(
                f"{name} is not read by anything: {other} is {held}",
                where=f"method.{name}, method.{other}",
                hint=f"type {hint} as well, or leave method.{name} out",
            )


def _losses(method: Method, arguments: dict[str, Any]) -> None:
    loss = arguments.get("loss_type")
    if loss == "cispo" and arguments["epsilon_high"] is None:
        raise RunError(
            "cispo caps the importance weight at epsilon_high, and it is not set (TRL would take epsilon)",
            where="method.epsilon_high",
            hint="type method.epsilon_high=5.0",
        )
    if "exo_pair" in (loss or ()) and not arguments.get("label_smoothing"):
        raise RunError(
            "exo_pair takes the logarithm of label_smoothing, which is 0",
            where="method.label_smoothing",
            hint="type method.label_smoothing=0.001",
        )
    if method.dataset_type in PAIRED and arguments["train_sampling_strategy"] == "group_by_length":
        raise RunError(
            "rows are grouped by length for sft alone",
            where="method.train_sampling_strategy",
            hint="leave method.train_sampling_strategy out",
        )
    if loss == KTO and arguments["train_sampling_strategy"] != "sequential":
        raise RunError(
            "kto pairs each answer with its neighbour beforehand, so its rows come in a fixed order",
            where="method.train_sampling_strategy, method.loss_type",
            hint="leave method.train_sampling_strategy out, or type method.loss_type=apo_zero_unpaired",
        )
    weights = arguments.get("loss_weights")
    if weights is not None and len(weights) != len(loss or ()):
        raise RunError(
            f"{len(weights)} weights for the losses {', '.join(loss or ())}",
            where="method.loss_weights, method.loss_type",
            hint=f"type method.loss_weights=[{', '.join(['1.0'] * len(loss or ()))}]",
        )
    if arguments.get("sync_ref_model") and not arguments.get("beta"):
        raise RunError(
            "there is no reference model to synchronise: beta is 0",
            where="method.sync_ref_model, method.beta",
            hint="type method.beta=0.04, or method.sync_ref_model=false",
        )
    clip = arguments.get("reward_clip_range")
    if clip is not None and (len(clip) != 2 or clip[0] >= clip[1]):
        raise RunError(
            f"reward_clip_range is {clip}",
            where="method.reward_clip_range",
            hint="type method.reward_clip_range=[-1.0, 1.0]: the lower end, then the upper",
        )
    if arguments.get("entropy_coef_min", 0) > arguments.get("entropy_coef_max", 0):
        low, high = arguments["entropy_coef_min"], arguments["entropy_coef_max"]
        raise RunError(
            f"entropy_coef_min is {low}, above entropy_coef_max {high}",
            where="method.entropy_coef_min, method.entropy_coef_max",
            hint=f"type method.entropy_coef_min={high} method.entropy_coef_max={low}",
        )
