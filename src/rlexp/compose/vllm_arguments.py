"""Checks ``rollout.engine``: arguments of vLLM's engine in vLLM's names, without vLLM. Pure.

The names come from ``vllm_arguments.json``, written from vLLM's sources by ``backend.vllm_table``. Values are vLLM's to
judge (``backend.engine.engine``).
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from rlexp.compose.schema import Rollout
from rlexp.errors import RunError, nearest

SAID = {
    "dtype": "hardware.dtype",
    "enforce_eager": "rollout.enforce_eager",
    "gpu_memory_utilization": "rollout.gpu_memory_utilization",
    "max_model_len": "model.max_seq_length",
    "model": "model.path or model.hub_id",
    "revision": "model.revision",
    "seed": "seed",
}
"""vLLM's names of what the config says elsewhere."""
SET = (
    *("distributed_executor_backend", "enable_sleep_mode", "generation_config", "logprobs_mode", "max_logprobs"),
    *("quantization", "tensor_parallel_size", "tokenizer", "weight_transfer_config"),
)
"""Arguments that the trainer's side of sampling depends on: TRL, Unsloth and rlexp set it."""


@functools.cache
def names() -> dict[str, Any]:
    """vLLM's version, and the names that its engine, its ``compilation_config`` and its sampling take."""
    return json.loads((Path(__file__).parent / "vllm_arguments.json").read_text())


def validate(rollout: Rollout) -> None:
    """Checks whether the arguments are vLLM's, and a vLLM that starts with the run is there to take them.

    Raises:
        RunError: a name that vLLM does not know, or one that is said elsewhere.
    """
    typed = rollout.engine
    if not typed:
        return
    if not rollout.vllm or rollout.server_url:
        named = ", ".join(f"rollout.engine.{name}" for name in typed)
        what = "the server runs already" if rollout.server_url else f"rollout={rollout.name} starts no vLLM"
        hint = "give it to the server" if rollout.server_url else f"leave out {named}; with a GPU: type rollout=unsloth"
        raise RunError(f"arguments for vLLM's engine, and {what}", where="rollout.engine", hint=hint)
    _known(typed, names()["engine"], "rollout.engine")
    for name in typed:
        if name in SAID or name in SET:
            hint = f"type {SAID[name]}=..." if name in SAID else "leave it out: the trainer depends on its value"
            raise RunError(f"{name} is not said here", where=f"rollout.engine.{name}", hint=hint)
    compilation = typed.get("compilation_config")
    if isinstance(compilation, dict):
        _known(compilation, names()["compilation_config"], "rollout.engine.compilation_config")
        for name in sorted(
            {"cudagraph_capture_sizes", "max_cudagraph_capture_size"} & typed.keys() & compilation.keys()
        ):
            raise RunError(f"{name} is said twice", where="rollout.engine", hint=f"leave one {name} out")


def _known(typed: dict[str, Any], known: list[str], where: str) -> None:
    for name in typed:
        if name not in known:
            guess = nearest(name, known)
            raise RunError(
                f"vLLM {names()['vllm']} takes no {name}",
                where=f"{where}.{name}",
                hint=f"type {where}.{guess}=..." if guess else "the names are those of vllm.LLM",
            )
