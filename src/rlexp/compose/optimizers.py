"""What TRL's optimizers need beside torch, and refuses those that a device cannot run. Pure.

Unsloth's CPU back end trains AdamW in the place of every optimizer of 8 bits, of pages or of another device, without a
word: measured with ``tests/long/test_arguments.py``, which looks at the optimizer that a trainer holds.
"""

from __future__ import annotations

import re
from typing import Any

from rlexp.compose.schema import Device
from rlexp.errors import RunError, nearest

PACKAGES = (
    (r"bnb|paged|ademamix|lion|adamw_8bit", "bitsandbytes"),
    (r"adamw_torch_(4|8)bit", "torchao"),
    (r"galore", "galore-torch"),
    (r"apollo", "apollo-torch"),
    (r"lomo", "lomo-optim"),
    (r"grokadamw", "grokadamw"),
    (r"schedule_free", "schedulefree"),
    (r"stable_adamw", "torch-optimi"),
    (r"anyprecision", "torchdistx"),
)
"""(what the optimizer's name holds, the package that brings it)."""
GPU_ONLY = re.compile(r"bnb|paged|ademamix|lion|[48]bit")
ELSEWHERE = re.compile(r"npu|xla")
BY_LAYER = re.compile(r"galore|apollo")
"""Optimizers that treat some layers apart, and read ``optim_target_modules``."""

NUMBERS = {
    "sgd": ("momentum", "dampening", "weight_decay"),
    "adagrad": ("lr_decay", "weight_decay", "eps"),
    "rmsprop": ("momentum", "alpha", "eps", "weight_decay"),
}
SWITCHES = {"sgd": ("nesterov",), "rmsprop": ("centered",)}
"""torch's optimizers -> what they read of ``optim_args``, as numbers and as true or false."""
READ_ARGS = re.compile(r"rmsprop_bnb|ademamix|galore|apollo|stable_adamw|anyprecision|schedule_free|lomo")
"""Optimizers of other packages, which judge their arguments themselves."""


def likely(typed: str, choices: list[str]) -> str | None:
    """The optimizer that is meant by a name that is none: ``adam`` and ``AdamW`` are torch's."""
    return "adamw_torch" if re.fullmatch(r"adamw?(_torch\w*)?", typed.lower()) else nearest(typed.lower(), choices)


def packages(optim: str) -> list[str]:
    """The packages that an optimizer needs beside torch."""
    return [package for pattern, package in PACKAGES if re.search(pattern, optim)]


def check(arguments: dict[str, Any], device: Device) -> None:
    """Checks whether the device can run the optimizer.

    Raises:
        RunError: it needs another device, or something is asked of it that it does not read.
    """
    optim = arguments["optim"]
    if ELSEWHERE.search(optim) or (device is Device.cpu and GPU_ONLY.search(optim)):
        needs = "another kind of device" if ELSEWHERE.search(optim) else "a GPU: Unsloth would train AdamW on a CPU"
        plain = "adafactor" if "adafactor" in optim else "adamw_torch"
        raise RunError(f"{optim} needs {needs}", where="method.optim", hint=f"type method.optim={plain}")
    _args(optim, arguments["optim_args"])
    if arguments["optim_target_modules"] is not None and not BY_LAYER.search(optim):
        raise RunError(
            f"{optim} reads no optim_target_modules",
            where="method.optim_target_modules, method.optim",
            hint="leave method.optim_target_modules out; model.lora.target_modules says which layers get an adapter",
        )


def _args(optim: str, given: str | None) -> None:
    """Checks ``optim_args``, which transformers reads as ``key=value,key=value``, and in part not at all."""
    if given is None or READ_ARGS.search(optim):
        return
    where, numbers, switches = "method.optim_args, method.optim", NUMBERS.get(optim, ()), SWITCHES.get(optim, ())
    if not numbers:
        raise RunError(f"{optim} reads no optim_args", where=where, hint="leave method.optim_args out")
    example = f"type 'method.optim_args=\"{numbers[0]}=0.9\"'"
    for part in given.replace(" ", "").split(","):
        key, _, value = part.partition("=")
        if key in switches and value in ("true", "false"):
            continue
        if key not in numbers:
            takes = ", ".join((*numbers, *switches))
            raise RunError(f"{optim} takes {takes}, not {part}", where=where, hint=f"{example}, or leave it out")
        try:
            float(value)
        except ValueError as error:
            raise RunError(f"{key} is {value!r}, no number", where=where, hint=example) from error
