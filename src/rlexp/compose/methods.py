"""The facts of a training method that are known without importing TRL, and the types of its arguments.

The arguments come from ``trl_arguments.json``, written from the installed TRL by ``backend.trl_table``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import II, MISSING, OmegaConf

from rlexp.compose.ranges import ANY, ARGUMENTS, POSITIVE, Range
from rlexp.compose.schema import DatasetType

TYPES: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "dict": dict[str, Any],
    "list[str]": list[str],
    "list[float]": list[float],
    "any": Any,
}

DERIVED = "derived from method.prompts_per_step and hardware.sequences_per_device; set those"
HARDWARE = "the hardware option owns it; see conf/hardware and conf/rollout"
TRACKING = "the tracking option owns it: tracking=tensorboard, tracking=wandb"
OWNED = {
    "output_dir": "the run folder; set hydra.run.dir",
    "run_name": "the run folder's name",
    **dict.fromkeys(("per_device_train_batch_size", "gradient_accumulation_steps", "auto_find_batch_size"), DERIVED),
    **dict.fromkeys(("generation_batch_size", "steps_per_generation", "per_device_eval_batch_size"), DERIVED),
    "num_generations_eval": DERIVED,
    **dict.fromkeys(("seed", "data_seed"), "set seed"),
    **dict.fromkeys(("bf16", "fp16", "tf32", "bf16_full_eval", "fp16_full_eval", "use_cpu"), "set hardware.dtype"),
    **dict.fromkeys(("gradient_checkpointing", "gradient_checkpointing_kwargs"), "set hardware.gradient_checkpointing"),
    **dict.fromkeys(("torch_compile", "torch_compile_backend", "torch_compile_mode", "use_vllm"), HARDWARE),
    **dict.fromkeys(("fsdp", "fsdp_config", "deepspeed", "accelerator_config", "parallelism_config"), HARDWARE),
    **dict.fromkeys(("report_to", "project", "trackio_space_id", "trackio_bucket_id"), TRACKING),
    "trackio_static_space_id": TRACKING,
    "reward_weights": "set reward.terms.<name>.weight",
    "multi_objective_aggregation": "set reward.combine=normalize, or sum",
    **dict.fromkeys(("model_init_kwargs", "trust_remote_code"), "the model option owns it; see conf/model"),
    **dict.fromkeys(("do_train", "do_eval", "do_predict", "local_rank", "is_encoder_decoder"), "not used here"),
    **dict.fromkeys(("disable_tqdm", "log_level", "log_level_replica", "debug"), "rlexp shows progress itself"),
    **dict.fromkeys(("log_completions", "log_completions_hub_repo"), "completions are always kept in the run folder"),
    "num_completions_to_print": "completions are always kept in the run folder",
    "remove_unused_columns": "the columns a reward names are kept",
    **dict.fromkeys(("push_to_hub", "hub_token", "hub_private_repo", "hub_model_id"), "a run is not pushed"),
    **dict.fromkeys(("hub_strategy", "hub_always_push", "hub_revision"), "a run is not pushed"),
    "resume_from_checkpoint": "resume=RUN goes on with a run, fork=RUN@STEP begins a new one from its checkpoint",
}
"""Trainer arguments that something else in the composed tree decides, and what to set instead."""
ALGORITHM = ("vllm_importance_sampling_", "vllm_structured_outputs_regex")
"""How the names begin of vLLM's arguments that belong to the method and not to the machine."""

EVALUATION = "held_out.rows and held_out.every measure held-out rows, before, after and while it trains"
CHECKPOINTS = "resume=RUN goes on with a run; checkpoints are kept by method.save_steps and method.save_total_limit"
DEVICES = "hardware.devices says how many devices train, on one host, and rlexp starts their processes"
COLUMNS = "dataset.params.columns names the columns of a file, data_prep/ writes them"
KERNELS = "Unsloth brings kernels of its own"
BATCHING = "rollout=colocate samples with vLLM, which batches so"
SHOWN = "completions are always kept in the run folder"
UNSERVED = {
    **dict.fromkeys(("eval_strategy", "eval_steps", "eval_delay", "eval_on_start", "eval_packing"), EVALUATION),
    **dict.fromkeys(("batch_eval_metrics", "eval_do_concat_batches", "eval_use_gather_object"), EVALUATION),
    **dict.fromkeys(("include_for_metrics", "prediction_loss_only", "generate_during_eval"), EVALUATION),
    **dict.fromkeys(("load_best_model_at_end", "metric_for_best_model", "greater_is_better"), EVALUATION),
    "enable_jit_checkpoint": "SIGTERM ends a run with the step it is at, a checkpoint and its weights saved",
    **dict.fromkeys(("ignore_data_skip", "restore_callback_states_from_checkpoint"), CHECKPOINTS),
    **dict.fromkeys(("ddp_backend", "ddp_broadcast_buffers", "ddp_bucket_cap_mb", "ddp_static_graph"), DEVICES),
    **dict.fromkeys(("ddp_find_unused_parameters", "ddp_timeout", "average_tokens_across_devices"), DEVICES),
    **dict.fromkeys(("log_on_each_node", "save_on_each_node", "ds3_gather_for_generation"), DEVICES),
    **dict.fromkeys(("dataset_text_field", "dataset_kwargs", "length_column_name", "label_names"), COLUMNS),
    "chat_template_path": "the model's folder holds its chat template",
    **dict.fromkeys(("use_liger_kernel", "liger_kernel_config"), KERNELS),
    **dict.fromkeys(("use_transformers_continuous_batching", "use_transformers_paged"), BATCHING),
    "transformers_continuous_batching_config": BATCHING,
    **dict.fromkeys(("log_multimodal", "log_unique_prompts"), SHOWN),
    "max_tool_calling_iterations": "tools are not called while training",
    "vllm_importance_sampling_cap": "its name is method.vllm_importance_sampling_clip_max now",
    "use_cache": "training needs no cache, and sampling always has one",
}
"""Trainer arguments that stand in every record at TRL's default, and that nothing here could serve otherwise."""


def owner(argument: str) -> str | None:
    """The setting to use instead of a trainer argument that the experiment does not own; None where it does."""
    if argument.startswith("vllm_"):
        return None if argument.startswith(ALGORITHM) else HARDWARE
    return OWNED.get(argument)


class Reference(Enum):
    """Says when a method compares the policy with a frozen reference model."""

    never = "never"
    with_beta = "with beta"
    """It does where its KL term counts: ``beta`` is not 0."""
    always = "always"
    """It does in every step, unless ``precompute_ref_log_probs`` asked it beforehand."""


@dataclass(frozen=True)
class Method:
    """The facts of a method that the rest of the project goes by; nothing else asks for a method's name."""

    name: str
    config_class: str
    """TRL's config class, as it is imported."""
    dataset_type: DatasetType
    online: bool = False
    """It samples completions while training and scores them with the reward."""
    reference: Reference = Reference.never
    sequences_per_row: int = 1
    """Sequences of one row of its data that are trained on: a pair is two."""
    imitates: bool = False
    """It raises the probability of completions of the data as they are tokenized, their end included."""
    takes_eos_token: bool = False
    """Its config names the token that ends a completion (``eos_token``)."""
    adds_bos: bool = False
    """Its trainer tokenizes without special tokens and puts BOS in front itself."""
    keeps_all_columns: bool = False
    """Its collator reads columns that the model does not take."""
    whole_logits: bool = False
    """TRL's loss holds the scores of every token over the vocabulary at once."""
    averages_tokens: bool = False
    """TRL's loss averages over the tokens of a pass; ``backend.patches`` weighs the passes of a step."""
    leave_one_out: bool = False
    """A completion's baseline is the mean of the others of its group; else that of the whole group."""
    packs_passes: bool = False
    """Unsloth trains it in packed passes of its own, which go around compiled blocks."""

    @property
    def arguments(self) -> dict[str, dict[str, Any]]:
        """TRL's arguments that the experiment owns: name -> type, default, optional, choices."""
        arguments = table()["methods"][self.name]["arguments"]
        return {name: entry for name, entry in arguments.items() if owner(name) is None}

    @property
    def fixed_order(self) -> bool:
        """Its trainer takes the rows in the order in which they come, by TRL's default."""
        return self.arguments["train_sampling_strategy"]["default"] == "sequential"

    @property
    def unserved(self) -> dict[str, str]:
        """Arguments that must be left at TRL's default: name -> what serves instead."""
        unserved = dict(UNSERVED)
        if self.online:
            unserved["train_sampling_strategy"] = "TRL draws the prompts of a step itself: method.shuffle_dataset"
        if self.dataset_type is not DatasetType.prompt_completion:
            unserved["label_smoothing_factor"] = f"TRL's loss of {self.name} does not read it"
        return {name: unserved[name] for name in self.arguments if name in unserved}

    def range_of(self, argument: str) -> Range:
        """The numbers that an argument of the method may be."""
        if argument == "beta" and self.reference is Reference.always:
            return POSITIVE  # nothing is learned without it
        return ARGUMENTS.get(argument, ANY)

    @property
    def all_arguments(self) -> dict[str, dict[str, Any]]:
        """Every argument of TRL's config class, owned or not."""
        return table()["methods"][self.name]["arguments"]


METHODS = {
    method.name: method
    for method in (
        Method(
            "grpo",
            "trl.GRPOConfig",
            DatasetType.prompt_only,
            online=True,
            reference=Reference.with_beta,
            packs_passes=True,
        ),
        Method(
            "rloo",
            "trl.RLOOConfig",
            DatasetType.prompt_only,
            online=True,
            reference=Reference.with_beta,
            leave_one_out=True,
        ),
        Method(
            "dpo",
            "trl.DPOConfig",
            DatasetType.preference,
            reference=Reference.always,
            sequences_per_row=2,
            imitates=True,
        ),
        # Its trainer adds EOS to an answer itself, so a template that lacks it is no harm: it does not imitate.
        Method(
            "orpo",
            "trl.experimental.orpo.ORPOConfig",
            DatasetType.preference,
            sequences_per_row=2,
            adds_bos=True,
            keeps_all_columns=True,
            whole_logits=True,
            averages_tokens=True,
        ),
        Method("kto", "trl.KTOConfig", DatasetType.unpaired_preference, reference=Reference.always, imitates=True),
        Method("sft", "trl.SFTConfig", DatasetType.prompt_completion, imitates=True, takes_eos_token=True),
    )
}


@functools.cache
def table() -> dict[str, Any]:
    """The committed table of TRL's arguments."""
    return json.loads((Path(__file__).parent / "trl_arguments.json").read_text())


@functools.cache
def schema(method: str) -> type:
    """A dataclass with every argument of the method that the experiment owns, at TRL's own defaults, and what the
    experiment says beside TRL: ``prompts_per_step``, ``off_policy_steps`` (online), ``shuffle_rows`` (fixed order)."""
    fields: list[Any] = [("name", str, dataclasses.field(default=method)), ("prompts_per_step", int, MISSING)]
    fields += [("off_policy_steps", int, 0)] if METHODS[method].online else []
    fields += [("shuffle_rows", bool, False)] if METHODS[method].fixed_order else []
    for name, entry in METHODS[method].arguments.items():
        kind = TYPES[entry["type"]]
        if entry.get("optional") and kind is not Any:
            # OmegaConf 2.3 cannot give an optional dictionary keys while it is None.
            kind = Any if entry["type"] == "dict" else kind | None
        default = II(f"model.learning_rate.{method}") if name == "learning_rate" else entry["default"]
        if isinstance(default, list | dict):
            fields.append((name, kind, dataclasses.field(default_factory=functools.partial(type(default), default))))
        else:
            fields.append((name, kind, dataclasses.field(default=default)))
    return dataclasses.make_dataclass(method.capitalize(), fields)


def _dataset_type(method: str) -> str:
    """The dataset type of a method; of one that is unknown, which is said elsewhere, any."""
    return METHODS[method].dataset_type.name if method in METHODS else "prompt_only"


OmegaConf.register_new_resolver("rlexp.dataset_type", _dataset_type, replace=True)
