"""Refuses names in ``method.generation_kwargs`` that the engine of the run does not read, or that are said elsewhere.

The names of transformers' ``GenerationConfig`` stand in ``trl_arguments.json``, those of vLLM's ``SamplingParams`` in
``vllm_arguments.json``. Pure.
"""

from __future__ import annotations

from typing import Any

from rlexp.compose import methods, vllm_arguments
from rlexp.compose.schema import Rollout
from rlexp.errors import RunError, nearest

SAID = {
    **{name: f"method.{name}" for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")},
    **dict.fromkeys(("max_new_tokens", "max_length", "max_tokens"), "method.max_completion_length"),
    **dict.fromkeys(("num_return_sequences", "n"), "method.num_generations"),
    "cache_implementation": "method.cache_implementation",
    "seed": "seed",
    "regex": "method.vllm_structured_outputs_regex",
}
"""Names of what the config says elsewhere, and where."""
SET = (
    *("do_sample", "pad_token_id", "bos_token_id", "eos_token_id", "num_beams", "return_dict_in_generate"),
    *("logprobs", "prompt_logprobs", "detokenize", "output_kind", "stop_strings", "use_cache"),
)
"""Names that the trainer depends on: TRL sets them."""


def check(given: dict[str, Any], rollout: Rollout) -> None:
    """Checks further arguments of sampling.

    Raises:
        RunError: the engine reads no such name, or it is said elsewhere.
    """
    known = vllm_arguments.names()["sampling_params"] if rollout.vllm else methods.table()["generation"]
    for name in given:
        where = f"method.generation_kwargs.{name}"
        if name in SAID:
            raise RunError(f"{name} is not said here", where=where, hint=f"type {SAID[name]}=...")
        if name in SET:
            raise RunError(f"{name} is not said here: the trainer depends on it", where=where, hint="leave it out")
        if name not in known:
            guess = nearest(name, [other for other in known if other not in SAID and other not in SET])
            hint = f"type 'method.generation_kwargs={{{guess}: {given[name]}}}'" if guess else "leave it out"
            engine = "vLLM's SamplingParams" if rollout.vllm else "transformers' GenerationConfig"
            raise RunError(f"nothing reads {name}: {engine} has no such name", where=where, hint=hint)
