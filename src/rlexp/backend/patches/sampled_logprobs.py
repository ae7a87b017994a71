"""The log-probabilities of sampled tokens: computed by all of the device, and taken from vLLM as they lie there.

vLLM 0.26 gives every sequence one program, which walks through the vocabulary 1,024 logits at a time, twice: with a few
tens of sequences most of the device waits. The same numbers in float32, by torch's own kernel. And TRL asks vLLM's flat
lists position by position, which makes three objects of every number.

Source: ``vllm.v1.worker.gpu.sample.logprob.compute_token_logprobs``, and ``extract_logprobs`` of
trl/generation/vllm_generation.py; perf/decode_gpu.py times both computations, flat_logprobs.py both ways to take
them.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any


def compute(logits: Any, token_ids: Any) -> Any:
    """Log-probabilities of some tokens.

    Args:
        logits: [sequences, vocabulary], any floating-point type.
        token_ids: [sequences, tokens].

    Returns:
        [sequences, tokens], float32.
    """
    import torch

    return logits.log_softmax(dim=-1, dtype=torch.float32).gather(-1, token_ids.to(torch.int64))


def extract(outputs: Sequence[Any], theirs: Callable[[Any], Any]) -> Any:
    """As TRL's ``extract_logprobs``, which is asked for what is not flat with one number a position.

    Args:
        outputs: ``vllm.RequestOutput``, [prompts] with [completions] each.

    Returns:
        (log-probabilities, token ids), both [prompts x completions][positions][1]; NaN is None.
    """
    each = [output.logprobs for request in outputs for output in request.outputs]
    if not all(hasattr(flat, "end_indices") and len(flat.end_indices) == len(flat.logprobs) for flat in each):
        return theirs(outputs)
    logprobs = [[[None if math.isnan(value) else value] for value in flat.logprobs] for flat in each]
    return logprobs, [[[token] for token in flat.token_ids] for flat in each]


def install() -> None:
    """Has every vLLM that starts in this process compute them so, and TRL take them so; a vLLM or TRL that keeps its
    function elsewhere stays as it is."""
    with contextlib.suppress(ImportError):
        from vllm.v1.worker.gpu.sample import logprob

        logprob.compute_token_logprobs = compute
    with contextlib.suppress(ImportError, AttributeError):
        from trl.generation import vllm_generation as trl

        theirs = trl.extract_logprobs
        if not isinstance(theirs, functools.partial):
            trl.extract_logprobs = functools.partial(extract, theirs=theirs)
