"""Unsloth compiles no transformer blocks of a model whose packed passes would not run them.

Unsloth compiles every transformer block of a model with an adapter, and its packed passes of GRPO go around what was
compiled: only the comparison with single sequences at the first of them uses it, after 20 s at 4B. A value of the
variable that the user set is left as it is.

Source: UNSLOTH_BLOCK_COMPILE_LEGACY in unsloth/models/llama.py; perf/startup_gpu.py.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed
from rlexp.compose.run import Run
from rlexp.compose.schema import Device

BLOCKS = "UNSLOTH_BLOCK_COMPILE_LEGACY"
"""Unsloth's switch: whether it compiles the blocks of models that have their own forward pass."""

PATCH = Patch(
    name="uncompiled_blocks",
    target=f"the environment variable {BLOCKS}, while the model is loaded",
    reason="Packed GRPO passes go around compiled blocks, which only their first comparison would run.",
    gain="a warm start 76 -> 50 s at 4B on an H100, the step the same (perf/results/2026-11-25_4b_h100.md; measured "
    "with the wider switch UNSLOTH_BLOCK_COMPILE=0)",
    upstream="https://github.com/unslothai/unsloth/blob/main/unsloth/models/llama.py",
    made_for={"unsloth": "2026.10"},
    expires="when Unsloth compiles no blocks where GRPO's passes are packed",
)


def apply(run: Run) -> Outcome:
    """Answers applied where ``uncompiled`` has something to set for this run."""
    if run.hardware.device is Device.cpu:
        return not_needed("Unsloth compiles no blocks on a CPU")
    if not run.method.packs_passes:
        return not_needed("the method's passes run the compiled blocks")
    return not_needed(f"{BLOCKS} is set by the user") if BLOCKS in os.environ else APPLIED


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Sets the variable for the model that is loaded inside."""
    os.environ[BLOCKS] = "0"
    try:
        yield
    finally:
        del os.environ[BLOCKS]
