"""The trainer's arguments as they were requested and as they are in effect, every one of them with its reason. Pure.

Unsloth changes some on a GPU and TRL fills in what is None. What is in effect otherwise than requested is an error,
unless it stands in ADJUSTED with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from rlexp.compose.methods import owner
from rlexp.compose.run import Run
from rlexp.errors import RunError

ADJUSTED = {
    "dataloader_pin_memory": "Unsloth's CPU back end: there is no device to pin for",
    "gradient_checkpointing_kwargs": "non-reentrant recomputation, which adapters need",
    "gradient_checkpointing": "Unsloth recomputes inside the model instead",
    "optim": "Unsloth's CPU back end: the AdamW that runs fastest there, the same arithmetic",
    "padding_free": "Unsloth's CPU back end: needs FlashAttention",
    "output_dir": "made absolute",
    "use_cache": "Unsloth switches it with the mode",
    "average_tokens_across_devices": "transformers: there is one device",
    "accelerator_config": "left open; transformers fills in its own defaults",
    "generation_batch_size": "left open; follows from micro-batch and passes",
    "eval_accumulation_steps": "left open; Unsloth moves evaluation results off the device as often as it accumulates",
    "dataset_num_proc": "left open; Unsloth chooses the number of processes that tokenize",
}
"""Arguments that Unsloth, TRL or transformers may change without changing what is learned."""


class Status(Enum):
    """The way in which an argument came to the value that the trainer holds."""

    default = "default"
    """TRL's own default, stated all the same."""
    requested = "asked"
    """The experiment sets it."""
    derived = "derived"
    """Another part of the composed tree decides it."""
    adjusted = "adjusted"
    """In effect otherwise than requested, for a known reason that changes nothing of what is learned."""
    changed = "changed"
    """In effect otherwise than requested: a run does not start with it."""


@dataclass(frozen=True)
class Argument:
    """One argument of the trainer's config class."""

    name: str
    requested: Any
    effective: Any
    status: Status
    why: str


def table(run: Run, requested: dict[str, Any], effective: Any) -> list[Argument]:
    """Every argument in the order of its name.

    Args:
        requested: the answer of ``arguments.requested``.
        effective: ``trainer.args``.
    """
    return [_argument(run, name, requested[name], getattr(effective, name, None)) for name in sorted(requested)]


def _argument(run: Run, name: str, requested_value: Any, effective_value: Any) -> Argument:
    requested, effective = json_value(requested_value), json_value(effective_value)
    default = json_value(run.method.all_arguments[name]["default"])
    if differs(requested_value, effective_value):
        status = Status.adjusted if name in ADJUSTED else Status.changed
        return Argument(name, requested, effective, status, ADJUSTED.get(name, "Unsloth or TRL changed it"))
    if requested == default and isinstance(requested, bool) is isinstance(default, bool):
        return Argument(name, requested, effective, Status.default, "TRL's default")
    if name in run.arguments and json_value(run.arguments[name]) == requested:
        return Argument(name, requested, effective, Status.requested, f"method.{name}")
    return Argument(name, requested, effective, Status.derived, owner(name) or "follows from other arguments")


def require(arguments: list[Argument]) -> None:
    """Refuses arguments that are in effect otherwise than requested, for no known reason.

    Raises:
        RunError: something is; the message names every such argument.
    """
    changed = [item for item in arguments if item.status is Status.changed]
    if changed:
        values = ", ".join(f"{item.name}={item.effective!r} where {item.requested!r} was asked for" for item in changed)
        raise RunError(
            f"the trainer holds {values}",
            where=", ".join(f"method.{item.name}" for item in changed),
            hint="Unsloth or TRL changed it; ask for the value it holds, or report this with the versions",
        )


def to_json(arguments: list[Argument]) -> dict[str, dict[str, Any]]:
    """The table for the manifest, by status: name -> the value in effect; with the requested one and the reason where
    they add to it.

    Without ``output_dir``, which is a path of this machine: a manifest can be committed.
    """
    by_status: dict[str, dict[str, Any]] = {status.value: {} for status in Status}
    for item in arguments:
        if item.name == "output_dir":
            continue
        short = item.status in (Status.default, Status.requested)
        whole = {"asked": item.requested, "held": item.effective, "why": item.why}
        by_status[item.status.value][item.name] = item.effective if short else whole
    return {status: items for status, items in by_status.items() if items}


def differs(requested: Any, effective: Any) -> bool:
    """Says whether an argument is in effect otherwise than requested.

    Every form of nothing is the same (None, an empty list, ``none``); zero and False are values.
    """
    requested, effective = json_value(requested), json_value(effective)
    return bool(effective != requested and (effective or requested or isinstance(requested, bool | int | float)))


def json_value(value: Any) -> Any:
    """An argument's value as JSON can hold it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        items = [json_value(item) for item in value]
        return None if items in ([], ["none"]) else items
    if isinstance(value, dict):
        return {key: json_value(item) for key, item in value.items()} or None
    if value in ("none", ""):
        return None
    return value if isinstance(value, bool | int | float | str | None) else str(value)
