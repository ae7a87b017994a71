"""Every name of TRL, transformers, PEFT, Unsloth and vLLM that is used here and that no documentation promises.

tests/backend/patches/test_surface.py looks each of them up in the installed libraries, and those of vLLM in the
committed table that ``backend.vllm_table`` writes from its sources; and it fails where the code uses a private name
that does not stand here. A new version of a library that drops one is found before a run is.
"""

from __future__ import annotations

ONLINE_TRAINER = (
    *("_generate_single_turn", "_generate_and_score_completions", "_calculate_rewards", "_tokenize_prompts"),
    *("_prepare_inputs", "_compute_loss", "_get_per_token_logps_and_entropies", "_get_train_sampler"),
    *("_buffered_inputs", "_step", "_metrics", "_tokenizer", "_last_loaded_step", "vllm_generation"),
    *("num_iterations", "num_generations", "beta", "use_vllm", "aux_loss_enabled", "generation_config"),
)
"""Names that are used of ``trl.GRPOTrainer`` and ``trl.RLOOTrainer`` alike."""

CLASSES: dict[str, tuple[str, ...]] = {
    "trl.GRPOTrainer": (
        *ONLINE_TRAINER,
        *("loss_type", "top_entropy_quantile", "_entropy_bonus_enabled", "importance_sampling_level"),
        *("vllm_importance_sampling_correction", "vllm_importance_sampling_mode"),
        *("vllm_importance_sampling_clip_min", "vllm_importance_sampling_clip_max"),
    ),
    "trl.RLOOTrainer": ONLINE_TRAINER,
    "trl.generation.vllm_generation.VLLMGeneration": (
        *("mode", "llm", "vllm_client", "generation_kwargs", "logprobs", "generate", "sync_weights"),
        *("_iter_named_params", "_init_vllm"),
    ),
    "trl.generation.vllm_client.VLLMClient": (
        *("base_url", "session", "communicator"),
        *("init_communicator", "close_communicator", "update_named_params", "generate"),
    ),
    "transformers.Trainer": (
        *("_save_rng_state", "_load_rng_state", "_get_train_sampler", "training_step", "log"),
        *("compute_loss", "train_dataset", "accelerator", "get_batch_samples"),
        *("_save_checkpoint", "_get_output_dir", "_load_from_checkpoint", "_load_optimizer_and_scheduler"),
        *("_run_epoch", "_tr_loss", "_total_loss_scalar", "_globalstep_last_logged"),
    ),
    "trl.SFTTrainer": ("_metrics", "_total_train_tokens"),
    "trl.DPOTrainer": ("_metrics", "_total_train_tokens"),
    "trl.KTOTrainer": ("_metrics", "_total_train_tokens"),
    "trl.experimental.orpo.ORPOTrainer": ("concatenated_forward", "_stored_metrics"),
    "trl.trainer.utils.RepeatSampler": ("generator", "seed", "shuffle", "num_samples"),
    "torch.optim.lr_scheduler.LambdaLR": ("base_lrs", "lr_lambdas", "last_epoch", "_last_lr"),
    "peft.tuners.lora.Linear": (
        *("base_layer", "lora_A", "lora_B", "scaling", "active_adapters", "lora_bias", "lora_variant"),
        "fan_in_fan_out",
    ),
    "peft.PeftModel": ("delete_adapter", "disable_adapter", "peft_config"),
}
"""Class -> attributes of it or of its objects, looked up where Unsloth is not imported."""

MODULES: dict[str, tuple[str, ...]] = {
    "trl.generation.vllm_generation": ("VLLMClient", "extract_logprobs"),
    "peft.tuners.tuners_utils": ("BaseTunerLayer",),
    "transformers.trainer": ("DEFAULT_CALLBACKS",),
    "transformers.utils.chat_template_utils": ("datetime",),
}
"""Module -> names in it, looked up where Unsloth is not imported."""

TEXTS: dict[str, tuple[str, ...]] = {
    "transformers.utils.chat_template_utils": ("return datetime.now().strftime(format)",),
    "trl.generation.vllm_generation": ("from vllm import LLM", "LLM(", "extract_logprobs(", "VLLMClient("),
    "trl.experimental.orpo.orpo_trainer": ("chosen_nll_loss)",),
    "trl.trainer.dpo_trainer": ('"ref"',),
    "trl.trainer.kto_trainer": ('"ref"',),
    "trl.trainer.grpo_trainer": ('"ref"',),
    "trl.trainer.rloo_trainer": ('"ref"',),
}
"""Module -> words of its source: names that it looks up, the adapter that it adds to a model."""

UNSLOTH_MODULES: dict[str, tuple[str, ...]] = {
    "unsloth": ("FastLanguageModel", "PatchDPOTrainer"),
    "unsloth.models.rl": ("patch_trl_rl_trainers", "_patch_trl_rl_trainers", "_patch_trl_experimental_trainer"),
    "unsloth.utils.attention_dispatch": (
        *("HAS_FLASH_ATTENTION", "HAS_XFORMERS", "_TORCH_VARLEN_ATTN", "_varlen_attn_call"),
        *("_LeanFlashVarlen", "_LEAN_VARLEN"),
    ),
    "unsloth_zoo.vllm_utils": ("load_vllm", "prepare_merged_rollout"),
    "unsloth_zoo.rl_replacements": ("UnslothEfficientGRPO",),
}
"""Module of Unsloth -> names in it."""

UNSLOTH_TEXTS: dict[str, tuple[str, ...]] = {
    "unsloth.utils.attention_dispatch": ("_varlen_can_use_cudnn",),
    "unsloth.models.rl_replacements": (
        *("_unsloth_seq_packing_nograd_verified_T", "_unsloth_seq_packing_nograd_verified_seg"),
        *("_unsloth_load_lora", "compute_efficient", "max_left_pad"),
    ),
    "unsloth_zoo.rl_replacements": (
        "_unsloth_seq_packing_grad_verified_T",
        "_unsloth_seq_packing_grad_verified_seg",
    ),
    "unsloth.models.rl": ("shared_weights",),
    "unsloth.models.llama": ("UNSLOTH_BLOCK_COMPILE_LEGACY", "vllm_engine", "def for_inference", "def for_training"),
}
"""Module of Unsloth -> words of its source: attributes that it sets on a model or trainer, environment variables."""

REWRITTEN = ("_generate_and_score_completions", "_get_per_token_logps_and_entropies", "_prepare_inputs", "compute_loss")
"""Names that the GRPO trainer which Unsloth writes must have; its ``compute_loss`` looks ``UnslothEfficientGRPO``
up."""

VLLM: dict[str, tuple[str, ...]] = {
    "entrypoints/llm.py:LLM": ("llm_engine", "reset_prefix_cache", "get_tokenizer", "apply_model"),
    "v1/engine/llm_engine.py:LLMEngine": (
        "engine_core",
        "model_executor",
        "model_config",
        "add_request",
        "step",
        "abort_request",
    ),
    "v1/engine/core_client.py:InprocClient": ("shutdown", "get_output"),
    "v1/executor/uniproc_executor.py:UniProcExecutor": ("driver_worker", "shutdown"),
    "v1/worker/worker_base.py:WorkerWrapperBase": ("worker", "__getattr__"),
    "v1/worker/gpu_worker.py:Worker": ("model_runner",),
    "v1/worker/gpu/model_runner.py:GPUModelRunner": ("model",),
    "v1/worker/gpu/sample/logprob.py:": ("compute_token_logprobs",),
    "v1/worker/gpu/sample/logprob.py:compute_token_logprobs()": ("logits", "token_ids"),
    "distributed/parallel_state.py:": ("cleanup_dist_env_and_memory", "destroy_model_parallel"),
    "v1/worker/gpu/warmup.py:": ("warmup_kernels",),
    "model_executor/models/registry.py:": ("_run_in_subprocess",),
    "model_executor/models/registry.py:_run_in_subprocess()": ("fn",),
    "logprobs.py:FlatLogprobs": ("start_indices", "end_indices", "logprobs", "token_ids"),
    "v1/engine/__init__.py:EngineCoreOutputs": ("outputs",),
    "v1/engine/__init__.py:EngineCoreOutput": ("new_prompt_logprobs_tensors", "finish_reason"),
    "v1/outputs.py:LogprobsTensors": ("logprob_token_ids", "logprobs"),
    "config/model.py:ModelConfig": ("try_get_generation_config", "get_vocab_size", "quantization", "dtype"),
    "sampling_params.py:SamplingParams": (
        "detokenize",
        "flat_logprobs",
        "logprobs",
        "min_tokens",
        "for_sampler_warmup",
    ),
    "model_executor/models/llama.py:LlamaForCausalLM": ("packed_modules_mapping",),
    "entrypoints/serve/dev/rlhf/api_router.py:": ("abort_requests", "get_world_size"),
    "entrypoints/cli/main.py:": ("main",),
}
"""File of vLLM and class in it (none: the module itself; ``name()``: the parameters of a function) -> names."""
