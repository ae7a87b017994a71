"""The trainer's arguments: every one of them said, and what the trainer really holds compared with it.

Unsloth changes defaults of TRL's classes on a GPU and drops what it does not know; TRL fills in what is None. What
was asked for and is held differently is an error, unless it stands in ADJUSTED with its reason.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.schema import Combine, Device, Dtype, VllmMode
from rlexp.errors import RunError
from rlexp.reward.combine import weights

ADJUSTED = {
    "dataloader_pin_memory": "Unsloth's CPU back end: there is no device to pin for",
    "gradient_checkpointing_kwargs": "non-reentrant recomputation, which adapters need",
    "gradient_checkpointing": "Unsloth recomputes inside the model instead",
    "optim": "Unsloth's CPU back end: the AdamW that runs fastest there, the same arithmetic",
    "padding_free": "Unsloth's CPU back end: needs FlashAttention",
    "output_dir": "made absolute",
    "use_cache": "Unsloth switches it with the mode",
    "average_tokens_across_devices": "transformers: there is one device",
    "accelerator_config": "left open; transformers fills in its own defaults",
    "generation_batch_size": "left open; follows from micro-batch and passes",
    "eval_accumulation_steps": "left open; Unsloth moves evaluation results off the device as often as it accumulates",
    "dataset_num_proc": "left open; Unsloth chooses the number of processes that tokenize",
}
"""Arguments that Unsloth, TRL or transformers may hold otherwise without changing what is learned."""


def requested(run: Run, folder: Path) -> dict[str, Any]:
    """Every argument of the trainer's config class: what the experiment says, what was derived, else TRL's default.

    Args:
        folder: the run folder; checkpoints go below it.
    """
    arguments = {name: entry["default"] for name, entry in run.method.all_arguments.items()}
    cuda = run.hardware.device is Device.cuda
    bfloat16 = cuda and run.hardware.dtype is Dtype.bfloat16
    float16 = cuda and run.hardware.dtype is Dtype.float16
    arguments |= run.arguments
    arguments |= {
        "output_dir": str(folder / "checkpoints"),
        "run_name": folder.name,
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
        "report_to": list(run.tracking.report_to) or "none",
        "project": run.tracking.project,
        "disable_tqdm": True,
        "log_level": "error",
        "log_level_replica": "error",
    }
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
        # ORPO's collator reads columns that the model does not take.
        arguments["remove_unused_columns"] = run.method.name != "orpo"
    return {name: value for name, value in arguments.items() if name in run.method.all_arguments}


def compare(asked: dict[str, Any], held: Any) -> dict[str, dict[str, Any]]:
    """What the trainer holds otherwise than asked: name -> asked, held, reason.

    Args:
        asked: the answer of ``requested``.
        held: ``trainer.args``.

    Raises:
        RunError: arguments differ that do not stand in ADJUSTED; the message names them all.
    """
    differences: dict[str, dict[str, Any]] = {}
    changed: dict[str, str] = {}
    for name, wanted in asked.items():
        got = getattr(held, name, None)
        if not differs(wanted, got):
            continue
        got, wanted = plain(got), plain(wanted)
        if name in ADJUSTED:
            differences[name] = {"asked": wanted, "held": got, "reason": ADJUSTED[name]}
        else:
            changed[name] = f"{name}={got!r} where {wanted!r} was asked for"
    if changed:
        raise RunError(
            f"the trainer holds {', '.join(changed.values())}",
            where=", ".join(f"method.{name}" for name in changed),
            hint="Unsloth or TRL changed it; ask for the value it holds, or report this with the versions",
        )
    return differences


def differs(wanted: Any, got: Any) -> bool:
    """Whether an argument is held otherwise than asked; nothing is so in whatever form, zero and False are values."""
    wanted, got = plain(wanted), plain(got)
    return bool(got != wanted and (got or wanted or isinstance(wanted, bool | int | float)))


def plain(value: Any) -> Any:
    """An argument's value as JSON can hold it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        return None if items in ([], ["none"]) else items
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()} or None
    if value in ("none", ""):
        return None
    return value if isinstance(value, bool | int | float | str | None) else str(value)
