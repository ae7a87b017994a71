"""The log-probabilities of sampled tokens, computed by all of the device.

vLLM 0.26 gives every sequence one program, which walks through the vocabulary 1,024 logits at a time, twice: with a few
tens of sequences most of the device waits. The same numbers in float32, by torch's own kernel.

Source: ``vllm.v1.worker.gpu.sample.logprob.compute_token_logprobs``; benchmarks/decode_gpu.py times both.
"""

from __future__ import annotations

import contextlib
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


def install() -> None:
    """Has every vLLM that starts in this process use it; one that keeps its function elsewhere stays as it is."""
    with contextlib.suppress(ImportError):
        from vllm.v1.worker.gpu.sample import logprob

        logprob.compute_token_logprobs = compute
