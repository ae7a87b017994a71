"""``rollout.engine``: further arguments of vLLM put over those that TRL, Unsloth and rlexp give it.

Their names were checked when the run was composed (``compose.vllm_arguments``); their values are vLLM's to judge.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rlexp.backend import compile_cache
from rlexp.compose import compiling
from rlexp.compose.run import Run
from rlexp.compose.schema import Dtype
from rlexp.errors import RunError

NESTED = ("compilation_config", "inductor_compile_config")
"""Arguments that are mappings, one in the other, in which every key counts by itself."""
GRAPHS = (1, 2, 4, *range(8, 256, 8), *range(256, 513, 16))
"""Sequences for which vLLM captures a graph, by itself."""
UNCOMPILED = {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}
"""For vLLM: nothing is compiled; decoding is captured in graphs all the same."""


def over(given: Mapping[str, Any], requested: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's arguments with those that are requested in their place; of ``compilation_config``, and of Inductor's
    options in it, the requested keys.

    Args:
        given: what TRL, Unsloth and rlexp give. Unsloth gives ``vllm.config.CompilationConfig``, whose fields are
            taken, or a number, which is its ``mode``.
        requested: ``rollout.engine``, plain values.
    """
    both = {**given, **requested}
    for key in NESTED:
        if key in given and key in requested:
            original, override = _mapping(given[key]), _mapping(requested[key])
            if original is not None and override is not None:
                both[key] = over(original, override)
    return both


def _mapping(value: Any) -> dict[str, Any] | None:
    if dataclasses.is_dataclass(value):
        # What is left open is None there, and vLLM does not take None for most of it.
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return {name: setting for name, setting in fields.items() if setting is not None}
    return {"mode": value} if isinstance(value, int) else dict(value) if isinstance(value, Mapping) else None


def defaults(run: Run) -> dict[str, Any]:
    """The arguments about compiling that rlexp gives every vLLM which starts with a run.

    Where it compiles, the next process gets the same kernels (``backend.compile_cache``). vLLM joins small ones where
    timing them shows a gain, and timing is not allowed then: they are joined, as they nearly always are. Unsloth has
    them separate, for models where joining fails.

    Source: ``CompilationConfig.__post_init__`` of vLLM; ``speedup_by_combo_kernel`` of torch/_inductor/scheduler.py.
    """
    rollout = run.rollout
    if not rollout.compiled:
        return {} if rollout.enforce_eager else {"compilation_config": UNCOMPILED}
    if not compile_cache.repeatable():
        return {}
    joined = {} if rollout.fast_inference else {"combo_kernels": True, "benchmark_combo_kernel": False}
    return {"compilation_config": {"inductor_compile_config": {"deterministic": True, **joined}}}


def graphs(run: Run) -> dict[str, Any]:
    """The arguments about graphs for a vLLM that decodes the completions of a step of this run and nothing else: those
    of vLLM's own sizes that hold fewer sequences, and one of all of them. vLLM would capture twice as many, and none in
    one piece for a number that is not among its own. Left to it where the run says so itself, or decodes more than it
    captures.

    Source: ``VllmConfig._set_cudagraph_sizes`` and ``CudaGraphManager`` (vllm/v1/worker/gpu/cudagraph_utils.py).
    """
    asked = _mapping(run.rollout.engine.get("compilation_config", {})) or {}
    sequences = run.geometry.sequences_per_step // run.geometry.devices
    if sequences > GRAPHS[-1] or compiling.GRAPHS & set(asked):
        return {}
    sizes = [*(size for size in GRAPHS if size < sequences), sequences]
    return {"compilation_config": {"cudagraph_capture_sizes": sizes}}


def folds(run: Run) -> bool:
    """Says whether Unsloth samples with the adapter folded into the weights that it shares with vLLM, as it does for
    LoRA on linear layers of a 16-bit base: vLLM then needs no LoRA layers of its own. It folds the only adapter of a
    model: where one goes on and TRL keeps a copy of it as the reference, there are two.

    Source: ``unsloth_zoo.vllm_utils.prepare_merged_rollout``.
    """
    model, whole = run.model, run.hardware.dtype is Dtype.float32
    copied = model.start is not None and not model.start_merged and bool(run.arguments.get("beta"))
    return run.rollout.fast_inference and not (model.load_in_4bit or model.full_finetuning or whole or copied)


def confirm(run: Run, model: Any) -> None:
    """Confirms that Unsloth folds the adapter in, once model and engine are loaded: a vLLM without LoRA layers would
    refuse it later.

    Raises:
        RunError: Unsloth does not, for a reason that it prints.
    """
    if not folds(run) or run.rollout.engine.get("enable_lora", False):
        return
    from unsloth_zoo.vllm_utils import prepare_merged_rollout

    if prepare_merged_rollout(model) is None:
        raise RunError(
            "Unsloth does not fold this adapter into the weights that it samples with; libraries.log says why",
            where=f"rollout={run.rollout.name}",
            hint="type rollout.engine.enable_lora=true (vLLM then applies it beside them, slower)",
        )
