"""``rollout.patches=off``: refuses what a run cannot do without a patch, by the patch's name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rlexp.compose import whole_step
from rlexp.compose.geometry import Geometry
from rlexp.compose.methods import Method, Reference
from rlexp.compose.schema import Rollout, RunSchema, VllmMode, When
from rlexp.errors import RunError

ON = "rollout.patches=on"


def check(groups: RunSchema, method: Method, arguments: dict[str, Any], off_policy_steps: int) -> None:
    """Does nothing where patches are on; the names are those of ``backend.patches.PATCHES``.

    Raises:
        RunError: something that was typed needs a patch.
    """
    rollout = groups.rollout
    if rollout.patches:
        return
    if off_policy_steps:
        raise _refusal(
            "off_policy",
            "completions are sampled ahead by it",
            "method.off_policy_steps",
            f"type method.off_policy_steps=0, or {ON}",
        )
    if rollout.engine and rollout.in_process:
        raise _refusal(
            "engine_class" if rollout.fast_inference else "shared_engine",
            "arguments reach the vLLM in the process by it",
            "rollout.engine",
            f"leave rollout.engine out, or type {ON}",
        )
    if rollout.enforce_eager and rollout.vllm_mode is VllmMode.colocate:
        raise _refusal(
            "shared_engine",
            "the argument reaches TRL's vLLM by it",
            "rollout.enforce_eager",
            f"type rollout.enforce_eager=false, or {ON}",
        )
    if rollout.compiled is False and rollout.in_process:
        raise _refusal(
            "engine_class" if rollout.fast_inference else "shared_engine",
            "the argument reaches the vLLM in the process by it",
            "rollout.compiled",
            f"leave out rollout.compiled, or type {ON}",
        )
    short = groups.preflight.smoke is When.auto and 0 < arguments["max_steps"] <= groups.preflight.smoke_steps
    if groups.preflight.smoke is not When.never and not short:  # a run no longer than a smoke has none
        two_trainers(groups, method, arguments)


def one_pass(
    rollout: Rollout,
    method: Method,
    geometry: Geometry,
    offered: Callable[[], Sequence[str] | None] = lambda: None,
) -> None:
    """Checks whether a method whose loss is a mean over tokens has the tokens of a step in one pass.

    Args:
        offered: as ``whole_step.check`` takes it.

    Raises:
        RunError: it has not, and the patch that weighs the passes is off.
    """
    if method.averages_tokens and not rollout.patches and geometry.gradient_accumulation_steps > 1:
        raise _refusal(
            "orpo_tokens",
            f"the {geometry.gradient_accumulation_steps} passes of a step weigh as many tokens as they have by it",
            "hardware.sequences_per_device",
            f"type {', or '.join([*whole_step.one_pass(offered(), geometry.sequences_per_step), ON])}",
        )


def two_trainers(groups: RunSchema, method: Method, arguments: dict[str, Any]) -> None:
    """Checks whether the trainer of a smoke and that of the run behind it can follow each other on one model.

    Raises:
        RunError: TRL's vLLM, or its copy of the adapter, is in the way.
    """
    hint = f"type preflight.smoke=never, or {ON}"
    if groups.rollout.vllm_mode is not VllmMode.none:
        raise _refusal("shared_engine", "a smoke and the run behind it share TRL's vLLM by it", "preflight.smoke", hint)
    has_reference = method.reference is Reference.always or (
        method.reference is Reference.with_beta and bool(arguments["beta"])
    )
    if has_reference and not groups.model.full_finetuning:
        raise _refusal(
            "base_reference",
            "a smoke leaves TRL's copy of the adapter on the model without it",
            "preflight.smoke",
            hint,
        )


def _refusal(patch: str, why: str, where: str, hint: str) -> RunError:
    return RunError(
        f"the patch {patch} is needed, and patches are off: {why}", where=f"rollout.patches, {where}", hint=hint
    )
