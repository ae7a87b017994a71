"""Refuses a composed tree by its values: ranges, choices, and what two groups must agree on. Pure.

Types and unknown keys are refused before, by the schemas.
"""

from __future__ import annotations

from typing import Any

from rlexp.compose import arguments_together, generation, optimizers, vllm_arguments
from rlexp.compose.methods import ALGORITHM, Method
from rlexp.compose.ranges import Range, require
from rlexp.compose.schema import Combine, Device, Loader, Reward, RunSchema, VllmMode
from rlexp.compose.validate_data import metric_of, mixture_of
from rlexp.compose.validate_server import server_of
from rlexp.errors import RunError, nearest

MOST_SEQUENCES = 2**20
"""The most sequences of one optimizer step."""
ALL_LINEAR = "all-linear"
"""PEFT's word for every linear layer but the head."""


def arguments_of(method: Method, arguments: dict[str, Any], prompts_per_step: int) -> None:
    """Ranges and choices of the method's arguments, which the types cannot say.

    Raises:
        RunError: the first one that is out of range.
    """
    require(prompts_per_step, Range(1, MOST_SEQUENCES), "method.prompts_per_step")
    if method.online and (arguments["num_generations"] or 0) < 2:
        raise RunError(
            f"num_generations is {arguments['num_generations']}: {method.name} compares the completions of one prompt "
            "with each other, so one alone teaches nothing",
            where="method.num_generations",
            hint="type method.num_generations=2 or more; 4 to 16 is usual",
        )
    sequences = prompts_per_step * (arguments["num_generations"] if method.online else 1)
    if sequences > MOST_SEQUENCES:
        raise RunError(
            f"a step of {sequences} sequences: more than {MOST_SEQUENCES}",
            where="method.prompts_per_step, method.num_generations",
            hint="type method.prompts_per_step=8",
        )
    for name, entry in method.arguments.items():
        where = f"method.{name}"
        for item in arguments[name] if isinstance(arguments[name], list) else [arguments[name]]:
            if isinstance(item, int | float) and not isinstance(item, bool):
                require(item, method.range_of(name), where)
            choices = entry.get("choices")
            if choices and item is not None and str(item) not in choices:
                guess = optimizers.likely(str(item), choices) if name == "optim" else nearest(str(item), choices)
                hint = f"type {where}={guess}" if guess else f"one of: {', '.join(choices)}"
                raise RunError(f"{item!r} is no {name} of {method.name}", where=where, hint=hint)
    arguments_together.check(method, arguments)


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
    """Checks what two groups must agree on; that each number is in its range is known (``ranges.require_fields``).

    Raises:
        RunError: the first disagreement.
    """
    mixture_of(groups.dataset)
    metric_of(groups.held_out, groups.reward.terms)
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
    layers = model.lora.target_modules
    if layers != ALL_LINEAR and not (isinstance(layers, list) and layers and all(isinstance(n, str) for n in layers)):
        raise RunError(
            f"target_modules is {layers!r}: a list of layers, or {ALL_LINEAR}",
            where="model.lora.target_modules",
            hint=f"type model.lora.target_modules=[q_proj,v_proj], or model.lora.target_modules={ALL_LINEAR}",
        )
    if arguments.get("sync_ref_model") and not model.full_finetuning:
        raise RunError(
            "the reference of an adapter is its base, which stays as it is",
            where="method.sync_ref_model, model.full_finetuning",
            hint="type method.sync_ref_model=false, or train every weight: model.full_finetuning=true",
        )
    if method.online and not reward.terms:
        raise RunError(f"{method.name} needs a reward", where="reward.terms", hint="type reward=format+correct")
    combination_of(reward, method)
    if method.online:
        generation.check(arguments["generation_kwargs"] or {}, groups.rollout)
        _dr_grpo(groups, arguments)
    optimizers.check(arguments, groups.hardware.device)
    _chunked_nll(groups, arguments)
    _on_cpu(groups, arguments)
    _with_vllm(groups, method, arguments)
    rollout_of(groups, method)


def _on_cpu(groups: RunSchema, arguments: dict[str, Any]) -> None:
    """What the CPU back end of Unsloth leaves undone, or cannot do."""
    if groups.hardware.device is not Device.cpu:
        return
    for where, value, why in (
        ("model.load_in_4bit", groups.model.load_in_4bit, "4-bit weights need a GPU: on a CPU they would stay whole"),
        ("method.packing", arguments.get("packing"), "rows are packed on a GPU only"),
        ("method.activation_offloading", arguments.get("activation_offloading"), "there is no device to offload from"),
    ):
        if value:
            raise RunError(why, where=f"{where}, hardware={groups.hardware.name}", hint=f"type {where}=false")


def _with_vllm(groups: RunSchema, method: Method, arguments: dict[str, Any]) -> None:
    """Arguments that vLLM alone reads, or that everything but vLLM does."""
    name = groups.rollout.name
    for argument, entry in method.arguments.items():
        if argument.startswith(ALGORITHM) and arguments[argument] != entry["default"] and not groups.rollout.vllm:
            raise RunError(
                f"vLLM alone reads {argument}, and rollout={name} samples without",
                where=f"method.{argument}, rollout",
                hint=f"type rollout=colocate (a GPU), or leave method.{argument} out",
            )
    if arguments.get("cache_implementation") and groups.rollout.vllm:
        raise RunError(
            "vLLM has a cache of its own",
            where=f"method.cache_implementation, rollout={name}",
            hint="leave method.cache_implementation out",
        )


def _chunked_nll(groups: RunSchema, arguments: dict[str, Any]) -> None:
    """Unsloth trains nll in chunks of its own, whatever is asked for."""
    if arguments.get("loss_type") == "chunked_nll" and groups.rollout.loader is Loader.unsloth:
        raise RunError(
            "Unsloth trains nll, in chunks of its own",
            where="method.loss_type, rollout.loader=unsloth",
            hint="type method.loss_type=nll",
        )


def _dr_grpo(groups: RunSchema, arguments: dict[str, Any]) -> None:
    """Unsloth switches the scaling off on a GPU, whatever is asked for."""
    unsloth_gpu = groups.hardware.device is Device.cuda and groups.rollout.loader is Loader.unsloth
    if arguments.get("loss_type") == "dr_grpo" and unsloth_gpu and arguments["scale_rewards"] != "none":
        raise RunError(
            "Unsloth trains dr_grpo without scaled rewards, as its paper does",
            where="method.scale_rewards, method.loss_type",
            hint="type method.scale_rewards=none, or leave it out",
        )


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
            own = groups.model.load_in_4bit and rollout.vllm_mode is not VllmMode.none
            hint = f"type {'rollout=unsloth' if own else 'rollout.loader=unsloth'}"
            raise RunError(reason, where="rollout.loader=transformers", hint=hint)
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
