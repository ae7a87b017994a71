"""The model of a run as Unsloth loads it. The only module that imports unsloth, before trl and transformers."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Any

from rlexp.backend.engine.arguments import confirm
from rlexp.backend.patches import (
    Patches,
    engine_class,
    flat_logprobs,
    model_class,
    one_trainer,
    packed_check,
    packed_kernel,
    sampled_logprobs,
    sampler_kernels,
    uncompiled_blocks,
)
from rlexp.compose import hub
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.inputs import model_files

PREFILL = 4096
"""Tokens of prompts that vLLM computes at once; TRL's number for its own engine."""
UNREAD = ("original/*", "onnx/*", "*.pth", "*.gguf", "*.h5", "*.msgpack")
"""Files of a hub model in forms that are not loaded here."""


def import_libraries(method: str, patches: Patches) -> None:
    """Imports Unsloth, which rewrites the method's trainer of TRL and transformers' classes, before them."""
    patches.apply(one_trainer, method)
    import unsloth  # isort: skip  # noqa: F401
    import trl  # noqa: F401


def load(run: Run, model_dir: Path | None, patches: Patches) -> tuple[Any, Any]:
    """Loads the base model, and puts the adapter on it unless every weight is trained. As ``backend.model.load``."""
    from unsloth import FastLanguageModel  # isort: skip
    import torch

    if run.hardware.device is Device.cuda:
        patches.apply(packed_kernel)
    # Unsloth's own offloading form of recomputation where it exists.
    checkpointing = "unsloth" if run.hardware.gradient_checkpointing else False
    engine: dict[str, Any] = {}
    if run.rollout.fast_inference:
        patches.apply(sampled_logprobs)
        patches.apply(flat_logprobs)
        patches.apply(model_class)
        patches.apply(sampler_kernels, run)
        engine = {
            "fast_inference": True,
            "gpu_memory_utilization": run.rollout.gpu_memory_utilization,
            "max_lora_rank": run.model.lora.r,
            "enforce_eager": run.rollout.enforce_eager,
            # Left open, it follows from the memory that happens to be free, and with it what vLLM compiles.
            "max_num_batched_tokens": max(PREFILL, run.geometry.sequences_per_step),
            "max_num_seqs": decoded_at_once(run.geometry.sequences_per_step // run.geometry.devices),
        }
    named = source(run, model_dir)
    if Path(named).is_dir():
        model_files.require_plain(run.model, Path(named))
    own_class = patches.apply(engine_class, run)
    without_blocks = patches.apply(uncompiled_blocks, run)
    with (
        engine_class.replaced(run) if own_class else contextlib.nullcontext(),
        uncompiled_blocks.uncompiled() if without_blocks else contextlib.nullcontext(),
    ):
        model, tokenizer = FastLanguageModel.from_pretrained(
            model_name=named,
            # A folder is whole: nothing is asked of the hub, and Unsloth does not look for the internet first.
            local_files_only=Path(named).is_dir(),
            max_seq_length=run.model.max_seq_length,
            dtype=getattr(torch, run.hardware.dtype.name),
            load_in_4bit=run.model.load_in_4bit,
            full_finetuning=run.model.full_finetuning,
            use_gradient_checkpointing=checkpointing,
            trust_remote_code=run.model.trust_remote_code,
            **engine,
        )
        if not run.model.full_finetuning:
            model = FastLanguageModel.get_peft_model(
                model,
                **dataclasses.asdict(run.model.lora),
                bias="none",
                use_gradient_checkpointing=checkpointing,
                random_state=run.seed,
                max_seq_length=run.model.max_seq_length,
            )
    if own_class:
        confirm(run, model)
    if run.hardware.device is Device.cuda:
        patches.apply(packed_check, model)
    return model, tokenizer


def source(run: Run, model_dir: Path | None) -> str:
    """The folder that Unsloth loads; of a hub model whose commit is named, that commit's folder in the hub's cache.

    By its hub id Unsloth may load another repository (a mirror, a 4-bit copy), and its vLLM the newest commit: not what
    the lock says.

    Source: ``Ignoring revision`` in unsloth/models/loader.py.
    """
    if model_dir or not run.model.revision:
        return str(model_dir or run.model.hub_id)
    if folder := hub.cached(run):
        return str(folder)
    import huggingface_hub

    return huggingface_hub.snapshot_download(
        str(run.model.hub_id), revision=run.model.revision, ignore_patterns=list(UNREAD)
    )


def decoded_at_once(completions: int) -> int:
    """``max_num_seqs`` so that all completions of a step are decoded together.

    Left open, Unsloth guesses from the memory left for the cache (8 with 2 GB, 32 with 8 GB, 96 with 40 GB), and a step
    of more completions is decoded in several waves. It takes 256, vLLM's own default, for left open.
    """
    return completions + 1 if completions == 256 else completions


def patch_dpo() -> None:
    """Unsloth's patch of TRL's DPO and KTO trainers; without Unsloth, or on its CPU back end, there is none to make."""
    patch = getattr(sys.modules.get("unsloth"), "PatchDPOTrainer", None)
    if patch is not None:
        patch()
