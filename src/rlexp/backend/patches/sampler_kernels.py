"""vLLM compiles the kernels of its sampler that the run samples with, and no others, when it starts.

At the end of its start vLLM samples with every feature of its sampler, so that no request meets a kernel that is not
compiled: penalties, forbidden words, the most likely tokens. Here it samples as the run will; a kernel that is wanted
later all the same (a smoke's least length) is compiled then.

Source: ``warmup_kernels`` of vllm/v1/worker/gpu/warmup.py; ``SamplingParams.for_sampler_warmup``.
"""

from __future__ import annotations

from typing import Any

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, skipped
from rlexp.compose.run import Run

NAME = "for_sampler_warmup"
SAMPLED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
"""Arguments of TRL's trainers that are vLLM's too."""

PATCH = Patch(
    name="sampler_kernels",
    target=f"vllm.SamplingParams.{NAME}",
    reason="vLLM compiles the kernels of every feature of its sampler whenever it starts with no cache.",
    gain="the engine warmed up in 3 s of a cold start instead of 14, at 4B on an H200 "
    "(perf/results/2026-11-30_cold_start_h200.md)",
    upstream="https://github.com/vllm-project/vllm/blob/v0.26.0/vllm/v1/worker/gpu/warmup.py",
    made_for={"vllm": "0.26"},
    expires="when vLLM can be told what will be sampled with",
    whole_process=True,
)


def asked(run: Run) -> dict[str, Any]:
    """The arguments of ``vllm.SamplingParams`` that decide which kernels a run samples with. TRL's ``top_k`` of 0 is
    vLLM's too: all tokens; it asks for the log-probability of each token sampled."""
    said = {name: run.arguments.get(name) for name in SAMPLED}
    return {name: value for name, value in said.items() if value is not None} | {"logprobs": 0}


def apply(run: Run) -> Outcome:
    """Has every vLLM that starts in this process sample so as it starts."""
    try:
        from vllm import SamplingParams
    except ImportError as error:
        return skipped(f"vLLM cannot be imported: {error}")
    if not hasattr(SamplingParams, NAME):
        return skipped(f"SamplingParams.{NAME} is not there")
    how = asked(run)
    SamplingParams.for_sampler_warmup = staticmethod(lambda: SamplingParams(**how))
    return APPLIED
