"""The vLLM that Unsloth starts takes ``rollout.engine`` too, and has no LoRA layers where they would stay idle.

Unsloth's ``load_vllm`` passes few arguments on. Its LoRA layers cost time at every start, and are not used where the
adapter is folded into the weights.

Source: ``unsloth_zoo.vllm_utils.load_vllm``, which imports ``vllm.LLM`` when it is called, and patches its methods.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rlexp.backend.engine.arguments import defaults, folds, graphs, over
from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed
from rlexp.compose.run import Run
from rlexp.errors import RunError

PATCH = Patch(
    name="engine_class",
    target="vllm.LLM, while Unsloth loads the model",
    reason="Unsloth passes few arguments on to the vLLM that it starts, and gives it LoRA layers that stay idle.",
    gain="graphs captured in 2 s instead of 4, the engine 13.2 s of a warm start instead of 18.5, at 4B on an H100 "
    "(perf/results/2026-11-25_4b_h100.md)",
    upstream="https://github.com/unslothai/unsloth-zoo/blob/main/unsloth_zoo/vllm_utils.py",
    made_for={"unsloth": "2026.10", "vllm": "0.26"},
    expires="when FastLanguageModel.from_pretrained takes arguments of vLLM's engine",
    needed_for="rollout.engine with Unsloth's engine",
)


def overrides(run: Run) -> dict[str, Any]:
    """The arguments of vLLM that are put over Unsloth's."""
    own = over(defaults(run), graphs(run))
    return over({**own, **({"enable_lora": False} if folds(run) else {})}, run.rollout.engine)


def apply(run: Run) -> Outcome:
    """Answers applied where ``replaced`` has anything to put over Unsloth's arguments."""
    if not run.rollout.fast_inference:
        return not_needed("Unsloth starts no vLLM")
    return APPLIED if overrides(run) else not_needed("the run says nothing that Unsloth would not")


@contextlib.contextmanager
def replaced(run: Run) -> Iterator[None]:
    """Replaces ``vllm.LLM`` for the engine that Unsloth starts inside.

    Raises:
        RunError: vLLM refuses a value.
    """
    import vllm

    requested = overrides(run)
    original = vllm.LLM
    refused: list[Exception] = []

    class LLMWithRunArguments(original):  # type: ignore[misc, valid-type]
        def __init__(self, **given: Any) -> None:
            try:
                super().__init__(**over(given, requested))
            except ValueError as error:
                refused.append(error)
                raise

    vllm.LLM = LLMWithRunArguments
    try:
        yield
    except RuntimeError as error:  # Unsloth's, in the place of the one that it caught
        if not refused:
            raise
        reason = "; ".join(line.strip() for line in str(refused[-1]).splitlines() if line.strip())
        raise RunError(
            f"vLLM did not start: {reason}", where="rollout.engine", hint="leave out what its words are about"
        ) from error
    finally:
        vllm.LLM = original
