"""TRL takes log-probabilities from vLLM's flat lists as they lie there.

TRL asks the lists position by position, which makes three objects of every number.

Source: ``extract_logprobs`` of trl/generation/vllm_generation.py; perf/flat_logprobs.py times both ways.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, skipped

PATCH = Patch(
    name="flat_logprobs",
    target="trl.generation.vllm_generation.extract_logprobs",
    reason="TRL walks through vLLM's log-probabilities position by position and makes three objects of every number.",
    gain="not measured alone (perf/flat_logprobs.py times both)",
    upstream="https://github.com/vllm-project/vllm/pull/28171",
    made_for={"trl": "1.15", "vllm": "0.26"},
    expires="when TRL reads vLLM's flat lists itself",
    whole_process=True,
)


def extract(outputs: Sequence[Any], original: Callable[[Any], Any]) -> Any:
    """Does as TRL's ``extract_logprobs``, which is asked for what is not flat with one number for each position.

    Args:
        outputs: ``vllm.RequestOutput``, [prompts] with [completions] each.
        original: TRL's own function.

    Returns:
        (log-probabilities, token ids), both [prompts x completions][positions][1]; NaN is None.
    """
    each = [output.logprobs for request in outputs for output in request.outputs]
    if not all(hasattr(flat, "end_indices") and len(flat.end_indices) == len(flat.logprobs) for flat in each):
        return original(outputs)
    logprobs = [[[None if math.isnan(value) else value] for value in flat.logprobs] for flat in each]
    return logprobs, [[[token] for token in flat.token_ids] for flat in each]


def apply() -> Outcome:
    """Puts ``extract`` in the place of TRL's function, once in a process."""
    try:
        from trl.generation import vllm_generation
    except ImportError as error:
        return skipped(f"TRL's module cannot be imported: {error}")
    original = getattr(vllm_generation, "extract_logprobs", None)
    if isinstance(original, functools.partial) and original.func is extract:
        return APPLIED
    if original is None or len(inspect.signature(original).parameters) != 1:
        return skipped("trl.generation.vllm_generation.extract_logprobs is not there, or takes other arguments")
    vllm_generation.extract_logprobs = functools.partial(extract, original=original)
    return APPLIED
