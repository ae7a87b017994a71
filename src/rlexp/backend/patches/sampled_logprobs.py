"""The log-probabilities of sampled tokens are computed by all of the device.

vLLM 0.26 gives every sequence one program, which walks through the vocabulary 1,024 logits at a time, twice: with a few
tens of sequences most of the device waits. The same numbers in float32 come from torch's own kernel.

Source: ``vllm.v1.worker.gpu.sample.logprob.compute_token_logprobs``; perf/decode_gpu.py times both.
"""

from __future__ import annotations

from typing import Any

from rlexp.backend.patches.patch import Outcome, Patch, put, skipped

NAME = "compute_token_logprobs"
PARAMETERS = ("logits", "token_ids")

PATCH = Patch(
    name="sampled_logprobs",
    target=f"vllm.v1.worker.gpu.sample.logprob.{NAME}",
    reason="vLLM's kernel runs one program for each sequence: with 32 sequences most of a GPU waits.",
    gain="0.116 -> 0.048 ms a token, 32 sequences at 4B on an H100 (perf/results/2026-11-25_4b_h100.md)",
    upstream="https://github.com/vllm-project/vllm/blob/v0.26.0/vllm/v1/worker/gpu/sample/logprob.py",
    made_for={"vllm": "0.26"},
    expires="when vLLM's kernel splits a row over several programs",
    whole_process=True,
)


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


def apply() -> Outcome:
    """Has every vLLM that starts in this process compute them so."""
    try:
        from vllm.v1.worker.gpu.sample import logprob
    except ImportError as error:
        return skipped(f"vLLM's module cannot be imported: {error}")
    return put(compute, logprob, NAME, PARAMETERS)
