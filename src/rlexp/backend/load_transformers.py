"""The model of a run as transformers loads it and PEFT adapts it: what TRL trains where Unsloth is not imported.

GPU only: TRL's GRPO needs Triton for its loss (Unsloth's CPU back end is what replaces it there).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from rlexp.backend.patches import Patches
from rlexp.compose.run import Run


def import_libraries(method: str, patches: Patches) -> None:
    """Imports TRL; nothing is patched for it."""
    import trl  # noqa: F401


def load(run: Run, model_dir: Path | None, patches: Patches) -> tuple[Any, Any]:
    """Loads the base model, and puts the adapter on it unless every weight is trained. As ``backend.model.load``.

    The adapter's weights are float32, as Unsloth's are: a learning rate of 1e-5 is lost in bfloat16's eight bits.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    named = str(model_dir or run.model.hub_id)
    pinned: dict[str, Any] = {} if model_dir or not run.model.revision else {"revision": run.model.revision}
    pinned["trust_remote_code"] = run.model.trust_remote_code
    tokenizer = AutoTokenizer.from_pretrained(named, **pinned)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(
        named,
        dtype=getattr(torch, run.hardware.dtype.name),
        device_map=torch.cuda.current_device(),  # that of the rank, where there are several
        use_safetensors=None if run.model.allow_pickle else True,
        **pinned,
    )
    if run.model.full_finetuning:
        return model, tokenizer
    config = LoraConfig(**dataclasses.asdict(run.model.lora), bias="none", task_type="CAUSAL_LM")
    # PEFT keeps the adapter of a bfloat16 base in float32 (autocast_adapter_dtype).
    return get_peft_model(model, config), tokenizer
