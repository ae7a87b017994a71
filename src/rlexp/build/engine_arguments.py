"""``rollout.engine``: further arguments of vLLM put over those that TRL, Unsloth and rlexp give it.

Their names were checked when the run was composed (``compose.engine``); their values are vLLM's to judge.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.schema import Dtype
from rlexp.errors import RunError


def over(given: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's arguments with those that are asked for in their place; of ``compilation_config`` the keys asked for.

    Args:
        given: by TRL, Unsloth and rlexp. Unsloth gives ``vllm.config.CompilationConfig``, whose fields are taken.
        asked: ``rollout.engine``, plain values.
    """
    both, key = {**given, **asked}, "compilation_config"
    mine, theirs = asked.get(key), given.get(key)
    if isinstance(mine, Mapping) and dataclasses.is_dataclass(theirs):
        # What they leave open is None there, and vLLM does not take None for most of it.
        held = {field.name: getattr(theirs, field.name) for field in dataclasses.fields(theirs) if field.init}
        theirs = {name: value for name, value in held.items() if value is not None}
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        both[key] = {**theirs, **mine}
    return both


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
    asked = {**({"enable_lora": False} if folds(run) else {}), **run.rollout.engine}
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
