"""Refuses a composed tree by its values: ranges, choices, and what two groups must agree on. Pure.

Types and unknown keys are refused before, by the schemas.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rlexp.compose import vllm_arguments
from rlexp.compose.methods import Method
from rlexp.compose.schema import Combine, Device, Loader, Reward, RunSchema, VllmMode
from rlexp.compose.validate_server import server_of
from rlexp.errors import RunError, nearest


def arguments_of(method: Method, arguments: dict[str, Any], prompts_per_step: int) -> None:
    """Ranges and choices of the method's arguments, which the types cannot say.

    Raises:
        RunError: the first one that is out of range.
    """
    if prompts_per_step < 1:
        raise RunError(f"prompts_per_step is {prompts_per_step}", where="method.prompts_per_step", hint="at least 1")
    if method.online and (arguments["num_generations"] or 0) < 2:
        raise RunError(
            f"num_generations is {arguments['num_generations']}: {method.name} compares the completions of one prompt "
            "with each other, so one alone teaches nothing",
            where="method.num_generations",
            hint="type method.num_generations=2 or more; 4 to 16 is usual",
        )
    for name, entry in method.arguments.items():
        value = arguments[name]
        if isinstance(value, float) and not math.isfinite(value):
            raise RunError(f"{name} is {value}", where=f"method.{name}", hint="a finite number")
        choices = entry.get("choices")
        for item in value if isinstance(value, list) else [value]:
            if choices and item is not None and str(item) not in choices:
                guess = nearest(str(item), choices)
                hint = f"type method.{name}={guess}" if guess else f"one of: {', '.join(choices)}"
                raise RunError(f"{item!r} is no {name} of {method.name}", where=f"method.{name}", hint=hint)
    for name, least, inclusive in (
        ("learning_rate", 0, False),
        ("beta", 0, True),
        ("temperature", 0, False),
        ("max_completion_length", 1, True),
        ("max_length", 2, True),
        ("num_iterations", 1, True),
        ("logging_steps", 0, False),
        ("save_steps", 0, False),
    ):
        value = arguments.get(name)
        if value is not None and (value < least or (value == least and not inclusive)):
            bound = f"at least {least}" if inclusive else f"above {least}"
            raise RunError(f"{name} is {value}", where=f"method.{name}", hint=bound)
    if arguments.get("loss_type") == "cispo" and arguments["epsilon_high"] is None:
        raise RunError(
            "cispo caps the importance weight at epsilon_high, and it is not set (TRL would take epsilon)",
            where="method.epsilon_high",
            hint="type method.epsilon_high=5.0",
        )
    if arguments["max_steps"] == 0 or (arguments["max_steps"] < 0 and arguments["num_train_epochs"] <= 0):
        raise RunError(
            f"max_steps is {arguments['max_steps']}: nothing would be trained",
            where="method.max_steps",
            hint="a positive number of steps, or -1 and method.num_train_epochs=1",
        )


def off_policy_of(steps: int, arguments: dict[str, Any]) -> None:
    """Checks whether completions can be sampled so many updates ahead.

    Raises:
        RunError: more than one, or a generation that serves several updates already.
    """
    if steps not in (0, 1):
        raise RunError(
            f"off_policy_steps is {steps}",
            where="method.off_policy_steps",
            hint="0: a step's completions come from the policy that learns from them; 1: from the one before its last "
            "update",
        )
    iterations = arguments.get("num_iterations", 1)
    if steps and iterations > 1:
        raise RunError(
            f"one generation serves {iterations} updates, so its completions are off-policy already",
            where="method.off_policy_steps, method.num_iterations",
            hint="type method.num_iterations=1, or method.off_policy_steps=0",
        )


def groups_of(groups: RunSchema, method: Method, arguments: dict[str, Any]) -> None:
    """Checks what two groups must agree on.

    Raises:
        RunError: the first disagreement.
    """
    model, reward = groups.model, groups.reward
    completion = arguments.get("max_completion_length")
    if completion is not None and completion >= model.max_seq_length:
        raise RunError(
            f"completions of {completion} tokens leave no room for the prompt in {model.max_seq_length} tokens",
            where="method.max_completion_length, model.max_seq_length",
            hint=f"type model.max_seq_length={2 * completion}, or a smaller method.max_completion_length",
        )
    if model.path is None and model.hub_id is None:
        raise RunError("the model has neither a folder nor a hub id", where="model", hint="type model.path=FOLDER")
    if method.online and not reward.terms:
        raise RunError(f"{method.name} needs a reward", where="reward.terms", hint="type reward=format+correct")
    combination_of(reward, method)
    for name, term in reward.terms.items():
        if not math.isfinite(term.weight):
            raise RunError(f"the weight is {term.weight}", where=f"reward.terms.{name}.weight", hint="a finite number")
    for where, value, least in (
        ("hardware.devices", groups.hardware.devices, 1),
        ("hardware.rollout_devices", groups.hardware.rollout_devices, 0),
        ("hardware.sequences_per_device", _or(groups.hardware.sequences_per_device, 1), 1),
        ("hardware.memory_gib", _or(groups.hardware.memory_gib, 1), 1),
        ("rollout.gpu_memory_utilization", _or(groups.rollout.gpu_memory_utilization, 0.01), 0.01),
        *(
            (f"model.size.{key}", n, 1)
            for key, n in (dataclasses.asdict(model.size) if model.size else {}).items()
            if n is not False
        ),
        ("model.max_seq_length", model.max_seq_length, 2),
        ("model.lora.r", model.lora.r, 1),
        ("held_out.rows", groups.held_out.rows, 0),
        ("held_out.temperature", groups.held_out.temperature, 0),
        ("held_out.max_new_tokens", groups.held_out.max_new_tokens, 1),
        ("held_out.samples", groups.held_out.samples, 0),
        ("held_out.every", groups.held_out.every, 0),
        ("preflight.smoke_steps", groups.preflight.smoke_steps, 3),
        ("dataset.train_rows", groups.dataset.train_rows or 1, 1),
        ("hardware.reward_workers", groups.hardware.reward_workers or 0, 0),
        ("reward.time_limit", reward.time_limit, 0.01),
        ("reward.max_failed", reward.max_failed, 0),
    ):
        if not least <= value < math.inf:
            raise RunError(f"{where} is {value}", where=where, hint=f"at least {least}")
    if _or(groups.rollout.gpu_memory_utilization, 1) > 1:
        raise RunError(
            f"vLLM's share is {groups.rollout.gpu_memory_utilization:g}, more than the device has",
            where="rollout.gpu_memory_utilization",
            hint="a share of the device's memory, from 0.01 to 1",
        )
    rollout_of(groups, method)


def rollout_of(groups: RunSchema, method: Method) -> None:
    """Checks whether completions can be sampled as rollout.

    Raises:
        RunError: the engine needs a GPU, the method samples nothing, or the loader cannot do it.
    """
    rollout, where = groups.rollout, f"rollout={groups.rollout.name}"
    cpu = groups.hardware.device is Device.cpu
    if rollout.vllm and cpu:
        raise RunError("vLLM needs a GPU", where=where, hint="type rollout=generate")
    if rollout.vllm and not method.online:
        raise RunError(
            f"{method.name} samples no completions while training", where=where, hint="type rollout=generate"
        )
    if rollout.fast_inference and rollout.vllm_mode is not VllmMode.none:
        raise RunError(
            "two engines are asked for: Unsloth's vLLM and TRL's",
            where="rollout.fast_inference, rollout.vllm_mode",
            hint="type rollout=unsloth or rollout=colocate",
        )
    if rollout.fast_inference and groups.model.full_finetuning:
        raise RunError(
            "every weight is trained, and Unsloth's vLLM shares frozen ones",
            where=f"{where}, model.full_finetuning",
            hint="type rollout=colocate, or rollout=generate",
        )
    server_of(rollout)
    vllm_arguments.validate(rollout)
    if rollout.loader is Loader.transformers:
        reason = (
            "TRL's trainers need a GPU without Unsloth"
            if cpu
            else "Unsloth's vLLM comes with Unsloth's model"
            if rollout.fast_inference
            else "a 4-bit base is Unsloth's"
            if groups.model.load_in_4bit
            else None
        )
        if reason:
            raise RunError(reason, where="rollout.loader=transformers", hint="type rollout.loader=unsloth")
    elif rollout.vllm_mode is not VllmMode.none and groups.model.load_in_4bit:
        raise RunError(
            "the weights of a 4-bit base cannot be sent to an engine of its own",
            where=where,
            hint="type rollout=unsloth",
        )


def combination_of(reward: Reward, method: Method) -> None:
    """Checks whether the terms can be combined as rollout.

    Raises:
        RunError: the gate names no term, or the method cannot standardise terms.
    """
    if reward.combine is Combine.gate and method.online and reward.gate not in reward.terms:
        guess = nearest(reward.gate, reward.terms)
        raise RunError(
            f"the gate is the term {reward.gate!r}, and the reward has {', '.join(reward.terms) or 'none'}",
            where="reward.gate",
            hint=f"type reward.gate={guess or next(iter(reward.terms), 'TERM')}, or add the term: reward=...+format",
        )
    standardises = "multi_objective_aggregation" in method.all_arguments
    if reward.combine is Combine.normalize and method.online and not standardises:
        raise RunError(
            f"{method.name} cannot standardise each term within its group",
            where="reward.combine=normalize",
            hint="type method=grpo, or reward.combine=sum",
        )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
