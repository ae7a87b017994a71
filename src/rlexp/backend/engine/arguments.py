"""``rollout.engine``: further arguments of vLLM put over those that TRL, Unsloth and rlexp give it.

Their names were checked when the run was composed (``compose.vllm_arguments``); their values are vLLM's to judge.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from rlexp.backend import compile_cache
from rlexp.compose.run import Run
from rlexp.compose.schema import Dtype
from rlexp.errors import RunError

NESTED = ("compilation_config", "inductor_compile_config")
"""Arguments that are mappings, one in the other, in which every key counts by itself."""


def over(given: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's arguments with those that are asked for in their place; of ``compilation_config``, and of Inductor's
    options in it, the keys asked for.

    Args:
        given: by TRL, Unsloth and rlexp. Unsloth gives ``vllm.config.CompilationConfig``, whose fields are taken, or a
            number, which is its ``mode``.
        asked: ``rollout.engine``, plain values.
    """
    both = {**given, **asked}
    for key in NESTED:
        if key in given and key in asked:
            theirs, mine = _mapping(given[key]), _mapping(asked[key])
            if theirs is not None and mine is not None:
                both[key] = over(theirs, mine)
    return both


def _mapping(value: Any) -> dict[str, Any] | None:
    if dataclasses.is_dataclass(value):
        # What they leave open is None there, and vLLM does not take None for most of it.
        held = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return {name: setting for name, setting in held.items() if setting is not None}
    return {"mode": value} if isinstance(value, int) else dict(value) if isinstance(value, Mapping) else None


def ours(run: Run) -> dict[str, Any]:
    """What rlexp tells every vLLM that starts with a run about how it compiles: so that the next process gets the same
    kernels (``backend.compile_cache``). vLLM joins small kernels where timing them says that it pays, and timing is not
    allowed then: they are joined, as it says nearly always. Unsloth has them apart, for models where joining fails.

    Source: ``CompilationConfig.__post_init__`` of vLLM; ``speedup_by_combo_kernel`` of torch/_inductor/scheduler.py.
    """
    if not compile_cache.repeatable():
        return {}
    joined = {} if run.rollout.fast_inference else {"combo_kernels": True, "benchmark_combo_kernel": False}
    return {"compilation_config": {"inductor_compile_config": {"deterministic": True, **joined}}}


def folds(run: Run) -> bool:
    """Whether Unsloth samples with the adapter folded into the weights that it shares with vLLM, as it does for LoRA on
    linear layers of a 16-bit base: vLLM then needs no LoRA layers of its own.

    Source: ``unsloth_zoo.vllm_utils.prepare_merged_rollout``.
    """
    model, whole = run.model, run.hardware.dtype is Dtype.float32
    return run.rollout.fast_inference and not (model.load_in_4bit or model.full_finetuning or whole)


def confirm(run: Run, model: Any) -> None:
    """Confirms that it does, now that model and engine are loaded; without, vLLM would refuse the adapter later.

    Raises:
        RunError: it cannot, for a reason that it prints.
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


@contextlib.contextmanager
def added(run: Run) -> Iterator[None]:
    """The vLLM that Unsloth starts inside takes ``rollout.engine`` too: ``load_vllm`` passes few arguments on. And it
    has no LoRA layers where they would stay idle: they cost time at every start.

    Source: ``unsloth_zoo.vllm_utils.load_vllm``, which imports ``vllm.LLM`` when it is called, and patches its methods.

    Raises:
        RunError: vLLM refuses a value.
    """
    asked = over({**ours(run), **({"enable_lora": False} if folds(run) else {})}, run.rollout.engine)
    if not (run.rollout.fast_inference and asked):
        yield
        return
    import vllm

    theirs = vllm.LLM
    refused: list[Exception] = []

    class Told(theirs):  # type: ignore[misc, valid-type]
        def __init__(self, **given: Any) -> None:
            try:
                super().__init__(**over(given, asked))
            except ValueError as error:
                refused.append(error)
                raise

    vllm.LLM = Told
    try:
        yield
    except RuntimeError as error:  # Unsloth's, in the place of the one that it caught
        if not refused:
            raise
        said = "; ".join(line.strip() for line in str(refused[-1]).splitlines() if line.strip())
        raise RunError(
            f"vLLM did not start: {said}", where="rollout.engine", hint="leave out what its words are about"
        ) from error
    finally:
        vllm.LLM = theirs
