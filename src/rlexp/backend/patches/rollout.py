"""What a trainer that samples is given beyond TRL's arguments; it changes neither samples nor gradients.

One exception that is asked for: ``method.off_policy_steps``."""

from __future__ import annotations

import gc
import logging
from typing import Any

from rlexp.backend.engine.engine import Engine
from rlexp.backend.patches import importance_ratio, merged_weights, micro_batches, off_policy

IDS_ONLY = {"detokenize": False, "flat_logprobs": True}
"""vLLM's sampling parameters: TRL reads token ids and decodes them itself, so no text is made token by token."""


def prepare(trainer: Any, engine: Engine, off_policy_steps: int = 0) -> None:
    """Prepares a trainer whose engine, where it has one, has started."""
    if micro_batches.applies(trainer):
        micro_batches.by_length(trainer)
    if off_policy_steps:
        off_policy.OffPolicy(trainer).install()
    elif importance_ratio.applies(trainer):
        importance_ratio.use_training_pass(trainer)
    generation = getattr(trainer, "vllm_generation", None)
    if generation is None:
        return
    if generation.mode == "colocate":
        if not generation.generation_kwargs.keys() & {"stop", "bad_words", "structured_outputs"}:
            generation.generation_kwargs = {**IDS_ONLY, **generation.generation_kwargs}
        if not getattr(generation.llm, "shared_weights", False) and hasattr(trainer.model, "peft_config"):
            _merge_in_place(trainer, generation, engine)
    elif hasattr(trainer.model, "peft_config"):
        _send_merged(trainer, generation)
    # An engine in the process makes objects by the thousand, and every full collection they cause would walk through
    # those of torch and vLLM, which stay.
    gc.collect()
    gc.freeze()


def _merge_in_place(trainer: Any, generation: Any, engine: Engine) -> None:
    try:
        if engine.weights is None:
            samples = generation.llm.llm_engine.model_executor.driver_worker.model_runner.model
            engine.weights = merged_weights.InPlace(trainer.model, samples)
    except ValueError as fault:
        logging.getLogger(__name__).warning("TRL's own weight sync is used: %s", fault)
        return

    def sync_weights() -> None:
        engine.weights.write()
        generation.llm.reset_prefix_cache()

    generation.sync_weights = sync_weights


def _send_merged(trainer: Any, generation: Any) -> None:
    """TRL asks this once for names and shapes, then whenever it sends the weights to the server."""
    try:
        merged_weights.adapted(trainer.model)
    except ValueError as fault:
        logging.getLogger(__name__).warning("TRL's own weight sync is used: %s", fault)
        return
    generation._iter_named_params = lambda: merged_weights.weights(trainer.model)
