"""The surface that is used of TRL's trainers, public and private, as types: the contract that a new version of TRL must
keep.

``patches.surface`` lists the private names again, by the class of TRL that has them; a test looks them up there.
Methods that patches replace are attributes here, since a method of a protocol cannot be assigned to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Logprobs = Callable[..., tuple[Any, Any, Any]]
"""(model, token ids, mask, logits to keep, batch size, ...) -> (log-probabilities [sequences, tokens], entropies, aux
loss)."""


class Trainer(Protocol):
    """A trainer of TRL (``trl.trainer``, ``trl.experimental``), or what Unsloth made of one."""

    model: Any
    """The model with its adapter, ``peft.PeftModel``, or a model of transformers where every weight is trained."""
    args: Any
    """The config object of the method, such as ``trl.GRPOConfig``."""
    state: Any
    """``transformers.TrainerState``."""

    def train(self, resume_from_checkpoint: Any = None) -> Any:
        """``transformers.Trainer.train``."""

    def evaluate(self) -> dict[str, float]:
        """``transformers.Trainer.evaluate``."""

    def add_callback(self, callback: Any) -> None:
        """``transformers.Trainer.add_callback``."""

    def remove_callback(self, callback: Any) -> None:
        """``transformers.Trainer.remove_callback``."""


class OnlineTrainer(Trainer, Protocol):
    """``trl.GRPOTrainer`` or ``trl.RLOOTrainer``, or what Unsloth made of one."""

    train_dataset: Any
    accelerator: Any
    num_generations: int
    num_iterations: int
    beta: float
    use_vllm: bool
    aux_loss_enabled: bool
    _tokenizer: Any
    _step: int
    """Micro-batches since the training began."""
    _last_loaded_step: int
    """The optimizer step whose weights vLLM has."""
    _buffered_inputs: Any
    """The micro-batches of the generation that is being trained on."""
    _metrics: dict[str, dict[str, list[float]]]
    """``train`` or ``eval`` -> metric -> values since the last log entry."""
    _prepare_inputs: Callable[[Any], Any]
    _compute_loss: Callable[[Any, dict[str, Any]], Any]
    _get_per_token_logps_and_entropies: Logprobs
    _generate_single_turn: Callable[..., Any]
    _generate_and_score_completions: Callable[[Any], Any]
    _tokenize_prompts: Callable[[list[Any]], tuple[Any, Any, Any]]
    _get_train_sampler: Callable[[], Any]
    _save_rng_state: Callable[..., Any]
    _load_rng_state: Callable[..., Any]
    compute_loss: Callable[..., Any]


class GRPOTrainer(OnlineTrainer, Protocol):
    """``trl.GRPOTrainer``, which corrects for its sampler, or what Unsloth made of it."""

    vllm_importance_sampling_correction: bool
    vllm_importance_sampling_mode: str
    vllm_importance_sampling_clip_min: float | None
    vllm_importance_sampling_clip_max: float | None


class Generation(Protocol):
    """``trl.generation.vllm_generation.VLLMGeneration``: how a trainer samples with vLLM."""

    mode: str
    """``colocate`` or ``server``."""
    llm: Any
    """``vllm.LLM``, with colocate."""
    vllm_client: Any
    """TRL's client, with a server."""
    generation_kwargs: dict[str, Any]
    logprobs: int | None
    """The number of log-probabilities that are asked for besides the sampled token's; None for none at all."""
    generate: Callable[..., Any]
    sync_weights: Callable[[], None]
    _iter_named_params: Callable[[], Any]
