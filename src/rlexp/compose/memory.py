"""The memory that a run takes on one device, by parts.

Pure arithmetic over a model's shape; an estimate, within some tens of per cent of what a GPU reports. ``b`` is the
bytes of the model's type, h hidden_size, i intermediate_size, q and kv the widths of queries and of keys.

- **weights**: every weight in b bytes; a 4-bit base has its layers in 4.5 bits (NF4 with its scales), the rest in b.
- **engine**: vLLM's own copy of the weights where it has one (colocate; Unsloth's shares them), and what it holds
  besides its cache: the peak of its profiling run, CUDA graphs, the sampler's buffers.
- **cache**: keys and values, 2 x layers x kv x b a token, of all completions of a step at full length; or all that
  vLLM's share leaves for it.
- **trained**: an adapter is float32: weight, gradient and the optimizer's states. Where every weight is trained,
  gradients and states are in b bytes (pure bfloat16), and a frozen reference model is one more copy of the weights.
- **activations**: saved for the backward pass, a layer and a token: b x (9 h + 3 q + 2 kv + 4 i). Counted in the way of
  Korthikanti et al. 2022 (arXiv:2205.05198, section 4) for SwiGLU, RMSNorm, grouped queries, attention that stores no
  scores, and LoRA on all linear layers, which saves the input of each; times HELD, what was seen to be held over the
  count. With recomputation: b x h a layer and token, and one layer whole (Chen et al. 2016, arXiv:1604.06174).
- **logits**: TRL's fused head and Unsloth's chunked ones hold a chunk of tokens x vocabulary (``add_fused_lm_head`` of
  trl/trainer/utils.py; unsloth_zoo/fused_losses); TRL's ORPO holds all of it.
- **overhead**: CUDA context, libraries, compiled kernels, fragmentation.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from rlexp.compose.methods import Method, Reference
from rlexp.compose.schema import Dtype, Hardware, Loader, Model, Rollout, Size, VllmMode

GIB = 2**30
UNKNOWN_GIB = 14.5
"""GiB of a device nobody has measured: as much as torch can use of a card sold with 16 GB (a T4)."""
OVERHEAD = int(1.5 * GIB)
FOUR_BIT = 4.5 / 8
HELD = {Loader.unsloth: 1.0, Loader.transformers: 1.1}
"""Activations held over those counted, on H100s (perf/results/2026-11-25_4b_h100.md, ..._grpo_h100.md). transformers:
19.5 GiB allocated with 64 sequences of 274 tokens at 135M. Unsloth: 0.6 of the count in GRPO at 4B and 0.5 in DPO and
ORPO at 135M; other models and methods were not measured, hence more. Recomputed layers are counted once."""
CHUNK_TOKENS, CHUNK_BYTES = 1024, 10
"""Tokens of a fused head at once, and the bytes of each of their scores: logits in b, their float32 copy and its
gradient."""
WORKSPACE, SAMPLER_BYTES = 2 * GIB, 32
"""Bytes that vLLM holds besides weights and cache, and those that a completion and token of the vocabulary adds: 0.6
GiB with 64 completions to 2.8 with 512, by the table in unsloth_zoo/vllm_utils.py (load_vllm)."""


@dataclass(frozen=True)
class Workload:
    """Everything that decides the memory of a run on one device."""

    size: Size
    model: Model
    hardware: Hardware
    rollout: Rollout
    method: Method
    arguments: dict[str, Any]
    sequences: int
    """Sequences (or pairs) of one optimizer step on this device."""

    @property
    def capacity(self) -> float:
        """Bytes of the device."""
        return (self.hardware.memory_gib or UNKNOWN_GIB) * GIB

    @property
    def bytes(self) -> int:
        """Bytes of one number of the model's type."""
        return 4 if self.hardware.dtype is Dtype.float32 else 2

    @property
    def tokens(self) -> int:
        """Tokens of one sequence at full length."""
        length = self.arguments.get("max_length")
        return min(length or self.model.max_seq_length, self.model.max_seq_length)


@dataclass(frozen=True)
class Estimate:
    """Bytes of a run on one device, by part."""

    weights: int
    engine: int
    cache: int
    trained: int
    activations: int
    logits: int
    overhead: int
    cache_stays: bool
    """vLLM keeps its cache while the model trains; transformers' is gone by then."""

    @property
    def held(self) -> int:
        """Bytes that are there all the time."""
        return self.weights + self.engine + self.trained + self.overhead + (self.cache if self.cache_stays else 0)

    @property
    def training(self) -> int:
        """The peak of a pass forward and backward."""
        return self.held + self.activations + self.logits

    @property
    def sampling(self) -> int:
        """The peak while completions are sampled."""
        return self.held + (0 if self.cache_stays else self.cache)

    @property
    def total(self) -> int:
        """The peak of a step: sampling and training follow each other."""
        return max(self.training, self.sampling)

    def gib(self) -> dict[str, float]:
        """Part -> GiB, and their total, for the record."""
        parts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "cache_stays"}
        return {name: round(value / GIB, 3) for name, value in (*parts.items(), ("total", self.total))}


def estimate(job: Workload, sequences: int, checkpointing: bool) -> Estimate:
    """The memory of a run whose micro-batch has so many sequences (or pairs)."""
    engine = cache = 0
    if job.rollout.in_process:
        own = weights(job) + workspace(job)
        taken = (job.rollout.gpu_memory_utilization or share(job)) * job.capacity
        cache = int(max(taken - own, 0))
        engine = own - (weights(job) if job.rollout.fast_inference else 0)
    elif job.method.online and not job.rollout.vllm:
        cache = cache_per_token(job) * job.tokens * job.sequences
    tokens = sequences * job.method.sequences_per_row * job.tokens
    return Estimate(
        weights=weights(job),
        engine=engine,
        cache=cache,
        trained=trained(job),
        activations=activations(job, tokens, checkpointing),
        logits=logits(job, tokens),
        overhead=OVERHEAD,
        cache_stays=job.rollout.in_process,
    )


def layer_weights(size: Size) -> int:
    """Parameters of the linear layers of one block."""
    q, kv = size.num_attention_heads * size.head_dim, size.num_key_value_heads * size.head_dim
    return size.hidden_size * (2 * q + 2 * kv) + 3 * size.hidden_size * size.intermediate_size


def parameters(size: Size) -> int:
    """The number of parameters of the whole model; norms and biases are thousandths of it and left out."""
    tables = 1 if size.tie_word_embeddings else 2
    return size.num_hidden_layers * layer_weights(size) + tables * size.vocab_size * size.hidden_size


def weights(job: Workload) -> int:
    """Bytes of the model's weights."""
    layers = job.size.num_hidden_layers * layer_weights(job.size)
    rest = parameters(job.size) - layers
    return int(layers * (FOUR_BIT if job.model.load_in_4bit else job.bytes)) + rest * job.bytes


def workspace(job: Workload) -> int:
    """Bytes vLLM takes besides weights and cache."""
    return WORKSPACE + SAMPLER_BYTES * job.size.vocab_size * job.sequences


def cache_per_token(job: Workload) -> int:
    """Bytes of keys and values of one token."""
    size = job.size
    return 2 * size.num_hidden_layers * size.num_key_value_heads * size.head_dim * job.bytes


def adapter_parameters(size: Size, model: Model) -> int:
    """The number of parameters of the adapter: r x (in + out) a layer that has one."""
    h, i = size.hidden_size, size.intermediate_size
    q, kv = size.num_attention_heads * size.head_dim, size.num_key_value_heads * size.head_dim
    ends = {"q_proj": h + q, "k_proj": h + kv, "v_proj": h + kv, "o_proj": q + h}
    ends |= dict.fromkeys(("gate_proj", "up_proj", "down_proj"), h + i)
    return size.num_hidden_layers * model.lora.r * sum(ends.get(name, 0) for name in model.lora.target_modules)


def trained(job: Workload) -> int:
    """Bytes that training adds to the weights: gradients and optimizer, the adapter's weights, a reference model (an
    adapter has its base)."""
    optim = str(job.arguments.get("optim"))
    if job.model.full_finetuning:
        states = optimizer_bytes(optim, job.bytes)
        return parameters(job.size) * (job.bytes + states) + (weights(job) if _reference(job) else 0)
    return adapter_parameters(job.size, job.model) * (4 + 4 + optimizer_bytes(optim, 4))


def optimizer_bytes(optim: str, number: int) -> int:
    """Bytes of the optimizer's states for one trained number of so many bytes, by transformers' name of it."""
    if optim in ("sgd", "lomo", "adalomo") or "adafactor" in optim:
        return 0
    states = 3 if "ademamix" in optim else 1 if any(n in optim for n in ("lion", "rmsprop", "adagrad")) else 2
    return states * (1 if "8bit" in optim or "4bit" in optim else number)


def activations(job: Workload, tokens: int, checkpointing: bool) -> int:
    """Bytes kept for the backward pass of one micro-batch."""
    size = job.size
    q, kv = size.num_attention_heads * size.head_dim, size.num_key_value_heads * size.head_dim
    width = 9 * size.hidden_size + 3 * q + 2 * kv + 4 * size.intermediate_size
    layer = job.bytes * width
    if checkpointing:
        return int(tokens * (size.num_hidden_layers * job.bytes * size.hidden_size + layer))
    return int(tokens * size.num_hidden_layers * layer * HELD[job.rollout.loader])


def logits(job: Workload, tokens: int) -> int:
    """Bytes of the output head's scores at once."""
    whole = job.method.whole_logits and job.rollout.loader is Loader.transformers
    return (tokens if whole else min(tokens, CHUNK_TOKENS)) * job.size.vocab_size * CHUNK_BYTES


def _reference(job: Workload) -> bool:
    """Says whether a reference model is asked while it trains."""
    if job.method.reference is Reference.with_beta:
        return bool(job.arguments.get("beta"))
    return job.method.reference is Reference.always and not job.arguments.get("precompute_ref_log_probs")


def share(job: Workload) -> float:
    """vLLM's ``gpu_memory_utilization`` that is just enough: the weights it samples with, all completions of a step at
    full length, its workspace. The cache gets no more than half of what is free for it and for training: where that is
    less than the completions need, vLLM decodes them in waves.

    vLLM takes it of the whole device (v1/worker/utils.py: request_memory), and counts what it allocates itself.
    Unsloth takes it of what is free when loading (unsloth_zoo/vllm_utils.py: approximate_vllm_memory_usage), which is
    all but the CUDA context, and cuts the sequences to the cache where that holds less than one.
    """
    if job.rollout.vllm_mode is VllmMode.server:
        return 0.9
    own = weights(job) + workspace(job)
    copies = 0 if job.rollout.fast_inference else weights(job)
    free = job.capacity - own - copies - trained(job) - OVERHEAD
    one = cache_per_token(job) * job.tokens
    cache = max(min(cache_per_token(job) * job.tokens * job.sequences, free / 2), one)
    context = 0.98 if job.rollout.fast_inference else 1.0
    return min(0.95, round((own + cache) / job.capacity / context + 0.005, 2))
