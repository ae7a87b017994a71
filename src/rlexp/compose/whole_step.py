"""Refuses a micro-batch where a loss is taken over the micro-batch and not over the step: the same experiment would
train another thing on other hardware. Pure.

Source: ``perf/whole_step.py`` trains every loss of TRL with one micro-batch and with two, and compares the losses.
ORPO's mean over tokens is put right instead (``backend.patches.orpo_tokens``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rlexp.compose.geometry import Geometry
from rlexp.compose.workload import Workload
from rlexp.errors import RunError

KTO = "kto"
"""The loss, not the method: KTO has another one without a KL term."""
PER_PASS: dict[tuple[str, str], tuple[str, str]] = {
    ("loss_type", "bnpo"): ("averages over the tokens of a pass", "method.loss_type=dapo (over those of the step)"),
    ("loss_type", KTO): ("estimates its KL term from a pass", "method.loss_type=apo_zero_unpaired (it has none)"),
    ("loss_type", "aot"): ("sorts the margins of a pass", "method.loss_type=[sigmoid]"),
    ("loss_type", "aot_unpaired"): ("sorts the log-ratios of a pass", "method.loss_type=[sigmoid]"),
    ("loss_type", "sft"): ("averages over the tokens of a pass", "method.loss_type=[sigmoid]"),
}
"""(argument, value) -> what the loss does with one pass, and what does not."""
SWITCHES: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "top_entropy_quantile": (lambda value: value < 1, "ranks the tokens of a pass", "method.top_entropy_quantile=1.0"),
    "entropy_coef": (lambda value: value > 0, "averages the entropy of a pass", "method.entropy_coef=0"),
    "use_adaptive_entropy": (bool, "averages the entropy of a pass", "method.use_adaptive_entropy=false"),
}
"""argument -> when it is in use, what it does with one pass, and what to type instead."""


def needed(job: Workload) -> bool:
    """Says whether a step has to be one pass: its loss is taken over a pass, and nothing puts that right."""
    return bool(_found(job.arguments)) or (job.method.averages_tokens and not job.rollout.patches)


def least(arguments: dict[str, Any]) -> int:
    """The fewest prompts (or pairs) of a step that the loss can be taken over."""
    return 2 if arguments.get("loss_type") == KTO else 1


def check(
    arguments: dict[str, Any],
    geometry: Geometry,
    prompts_per_step: int,
    offered: Callable[[], Sequence[str] | None] = lambda: None,
) -> None:
    """Checks whether a loss that is taken over a pass has the whole step in it.

    Args:
        offered: the overrides with which a step is one pass that fits the device, none where there are none; None where
            nobody knows what fits.

    Raises:
        RunError: a step takes several passes, or several devices; or it is too small for such a loss.
    """
    if arguments.get("loss_type") == KTO and geometry.sequences_per_step == 1:
        raise RunError(
            "kto estimates its KL term by pairing the answers of a step with each other, and there is one",
            where="method.prompts_per_step",
            hint="type method.prompts_per_step=2 or more; 16 is usual",
        )
    if geometry.gradient_accumulation_steps * geometry.devices == 1:
        return
    for where, why, instead in _found(arguments):
        step, micro = geometry.sequences_per_step, geometry.per_device_train_batch_size
        fewer = prompts_per_step * micro // step
        if geometry.devices > 1:
            hint = f"type {instead}, or hardware.devices=1"
        else:
            fitting = offered()
            ways = [instead, *one_pass(fitting, step)]
            shrunk = any(word.startswith("method.prompts_per_step=") for word in fitting or ())
            ways += [f"method.prompts_per_step={fewer}"] if fewer > 1 and not shrunk else []
            hint = f"type {', '.join(ways[:-1])}{', or ' if ways[1:] else ''}{ways[-1]}"
        raise RunError(
            f"{where.partition('.')[2]} {why}, and a step of {step} sequences takes "
            f"{geometry.gradient_accumulation_steps * geometry.devices} passes of {micro}: it would train another "
            "thing than on hardware that holds the step at once",
            where=f"{where}, hardware.sequences_per_device",
            hint=hint,
        )


def one_pass(offered: Sequence[str] | None, sequences: int) -> list[str]:
    """What to type for a step of one pass, in one text; nothing where none fits."""
    if offered is None:
        return [f"hardware.sequences_per_device={sequences}"]
    return [" ".join(offered)] if offered else []


def _found(arguments: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    for (name, value), (why, instead) in PER_PASS.items():
        held = arguments.get(name)
        if value in (held if isinstance(held, list) else [held]):
            found.append((f"method.{name}={value}", why, instead))
    for name, (in_use, why, instead) in SWITCHES.items():
        if name in arguments and in_use(arguments[name]):
            found.append((f"method.{name}={arguments[name]}", why, instead))
    return found
