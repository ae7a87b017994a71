"""The trainer's arguments: every one of them, from the run.

Unsloth changes defaults of TRL's classes on a GPU, and drops what it does not know; so nothing is left to a default.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from rlexp.backend import installed
from rlexp.compose.methods import Method
from rlexp.compose.run import Run
from rlexp.compose.schema import Combine, Device, Dtype, VllmMode
from rlexp.errors import RunError
from rlexp.reward.combine import weights
from rlexp.tracking.tracker import NAMES


def requested(run: Run, run_dir: Path) -> dict[str, Any]:
    """Every argument of the trainer's config class: the experiment's value, a derived one, else TRL's default.

    Args:
        run_dir: the run folder, below which checkpoints go.
    """
    arguments = {name: entry["default"] for name, entry in run.method.all_arguments.items()}
    cuda = run.hardware.device is Device.cuda
    bfloat16 = cuda and run.hardware.dtype is Dtype.bfloat16
    float16 = cuda and run.hardware.dtype is Dtype.float16
    arguments |= run.arguments
    arguments |= {
        "output_dir": str(run_dir / "checkpoints"),
        # A point's folder is a number: the sweep's name goes before it, or two sweeps would share the tracker's names.
        "run_name": f"{run_dir.parent.name}_{run_dir.name}" if run_dir.name.isdigit() else run_dir.name,
        "seed": run.seed,
        "data_seed": run.seed,
        "per_device_train_batch_size": run.geometry.per_device_train_batch_size,
        "gradient_accumulation_steps": run.geometry.gradient_accumulation_steps,
        # Unsloth trains every weight in pure bfloat16, an adapter in mixed precision.
        "bf16": bfloat16 and not run.model.full_finetuning,
        "fp16": float16,
        "bf16_full_eval": bfloat16,
        "fp16_full_eval": float16,
        "use_cpu": not cuda,
        "gradient_checkpointing": run.hardware.gradient_checkpointing,
        "report_to": [name for name in run.tracking.report_to if name not in NAMES] or "none",
        "project": run.tracking.project,
        "disable_tqdm": True,
        "log_level": "error",
        "log_level_replica": "error",
    }
    if run.geometry.devices > 1:
        # Every trained weight has a gradient in every pass: nothing is looked for, which recomputation forbids, too.
        # No buffer of a model changes while it trains.
        arguments |= {"ddp_find_unused_parameters": False, "ddp_broadcast_buffers": False}
    if "epsilon_high" in arguments and arguments["epsilon_high"] is None:
        # TRL reads None as epsilon; Unsloth on a GPU would fill in another number.
        arguments["epsilon_high"] = arguments["epsilon"]
    normalize = run.reward.combine is Combine.normalize
    if run.method.online:
        arguments |= {
            "reward_weights": weights(run.reward),
            "multi_objective_aggregation": "normalize_then_sum" if normalize else "sum_then_normalize",
            "use_vllm": run.rollout.vllm,
            # "No limit" is 0 in transformers and -1 in vLLM.
            "top_k": -1 if run.rollout.vllm and arguments["top_k"] == 0 else arguments["top_k"],
            # One generation serves one optimizer step: the policy that samples is the policy that learns.
            "steps_per_generation": run.geometry.gradient_accumulation_steps,
            "num_generations_eval": run.num_generations,
            "per_device_eval_batch_size": run.num_generations,
            "remove_unused_columns": False,
        }
        if run.rollout.vllm_mode is not VllmMode.none:
            arguments |= {
                "vllm_mode": run.rollout.vllm_mode.name,
                "vllm_gpu_memory_utilization": run.rollout.gpu_memory_utilization,
                "vllm_max_model_length": run.model.max_seq_length,
            }
        if run.rollout.vllm_mode is VllmMode.server:
            arguments |= {
                "vllm_server_base_url": run.rollout.address,
                "vllm_group_port": run.rollout.group_port,
                "vllm_server_timeout": run.rollout.server_timeout,
            }
    else:
        arguments["per_device_eval_batch_size"] = run.geometry.per_device_train_batch_size
        arguments["remove_unused_columns"] = not run.method.keeps_all_columns
    return {name: value for name, value in arguments.items() if name in run.method.all_arguments}


def config(method: Method, arguments: dict[str, Any]) -> Any:
    """The object of TRL's config class; the libraries of the run's loader are imported already.

    Args:
        arguments: the answer of ``requested``.

    Raises:
        RunError: TRL or transformers refuses them; the message is theirs.
    """
    module, _, name = method.config_class.rpartition(".")
    try:
        with installed.trackers_hidden():
            return getattr(importlib.import_module(module), name)(**arguments)
    except (ValueError, TypeError, ImportError, NotImplementedError) as error:
        message = " ".join(str(error).split())
        named = [argument for argument in method.arguments if re.search(rf"\b{argument}\b", message)]
        where = ", ".join(f"method.{argument}" for argument in named) or f"method={method.name}"
        raise RunError(
            f"{name} refuses its arguments: {message}", where=where, hint=f"change {where}, or leave it out"
        ) from error
