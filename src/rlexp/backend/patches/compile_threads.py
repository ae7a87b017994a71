"""Inductor compiles its kernels in several processes, which are started while the model is loaded.

vLLM sets it to one as it is imported. And the processes, which import torch too, are else started with the first
kernel, which does not wait for them.

Source: vllm/env_override.py; ``AsyncCompile.use_process_pool`` and ``maybe_warm_pool`` of
torch/_inductor/async_compile.py.
"""

from __future__ import annotations

import os

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed, skipped
from rlexp.compose.run import Run
from rlexp.compose.schema import Device

MOST = 8
"""Processes; the kernels of one graph are few."""
NAMED = "TORCHINDUCTOR_COMPILE_THREADS"
"""The user's own number; vLLM overwrites it."""

PATCH = Patch(
    name="compile_threads",
    target="torch._inductor.config.compile_threads, once the libraries are imported",
    reason="vLLM has Inductor compile one kernel after the other.",
    gain="not measured alone",
    upstream="https://github.com/vllm-project/vllm/pull/15951",
    made_for={"vllm": "0.26", "torch": "2.11"},
    expires="when vLLM leaves the number to the user",
    whole_process=True,
)


def apply(run: Run, given: str | None) -> Outcome:
    """Sets the number, and starts the processes.

    Args:
        given: the value of NAMED before vLLM was imported.
    """
    if run.hardware.device is Device.cpu:
        return not_needed("nothing is compiled on a CPU")
    if given:
        return not_needed(f"{NAMED} is set by the user")
    from torch._inductor import async_compile, config

    if not hasattr(async_compile, "maybe_warm_pool"):
        return skipped(f"{async_compile.__name__}.maybe_warm_pool is not there")
    config.compile_threads = min(MOST, os.cpu_count() or 1)
    async_compile.maybe_warm_pool()
    return APPLIED
