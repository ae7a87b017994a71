"""The memory that a run takes on one device, by parts.

Pure arithmetic over a model's shape. ``b`` is the bytes of the model's type. Estimated is what torch reserves and what
no allocator of torch's holds (``overhead``); docs/gpu.md has every measured point beside its estimate.

- **weights**: every weight in b bytes; a 4-bit base has its layers in 4.5 bits (NF4 with its scales), the rest in b.
- **engine**: vLLM's own copy of the weights where it has one (colocate; Unsloth's shares them), and what it holds
  besides its cache: the peak of its profiling run, CUDA graphs, the sampler's buffers.
- **cache**: keys and values, 2 x layers x kv x b a token: all that vLLM's share leaves for it; or of all completions of
  a step with transformers' ``generate``, which are there twice for a moment (``cache``).
- **trained**: an adapter is float32: weight, gradient and the optimizer's states. Where every weight is trained,
  gradients and states are in b bytes (pure bfloat16), and a frozen reference model is one more copy of the weights.
  In a step of one pass the gradients come as the activations go, so that the sum of the parts is above the total.
- **activations**, **logits**: of a pass forward and backward (``compose.activations``).
- **overhead**: CUDA context and libraries, which torch does not know of.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from rlexp.compose import activations as held
from rlexp.compose.methods import Reference
from rlexp.compose.schema import VllmMode
from rlexp.compose.workload import GIB, Workload, adapter_parameters, parameters, weights

OVERHEAD = int(1.5 * GIB)
WORKSPACE, SAMPLER_BYTES = 2 * GIB, 32
"""Bytes that vLLM holds besides weights and cache, and those that a completion and token of the vocabulary adds: 0.6
GiB with 64 completions to 2.8 with 512, by the table in unsloth_zoo/vllm_utils.py (load_vllm)."""
ROWS, GROWN = 256, 512
"""Unsloth's ``generate`` copies the prompts' keys and values into buffers of a multiple of ROWS tokens, GROWN longer
than the prompt, and doubles them as they fill (unsloth/models/_decode_graphs.py); ``transformers`` joins them anew
with each token."""
STATES, SCORES, SAMPLED = 11, 15.5, int(0.19 * GIB)
"""What torch reserves beside keys and values while ``generate`` samples: so many hidden states of the prompts, so many
times the buffers of attention scores (one a layer), and what is always there. Fitted to the peaks that sampling made:
about half is allocated, the rest are holes, likely of keys and values repeated for all heads that grow by a token each
time and no longer fit where those of the token before were."""
SPREAD = 1.2
"""What torch reserves over the gradients where every weight is trained (1.7B: 4.5 GiB, of 3.8 counted)."""


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
    gradients: int = 0
    """Of the trained part: those that are there when the activations are gone. None where a step has several passes,
    for those of the first are kept while the next goes forward."""
    last_layer: int = 0
    """Those that are there while the last layer goes backward, and what that one holds."""

    @property
    def held(self) -> int:
        """Bytes that are there all the time, less the gradients."""
        kept = self.cache if self.cache_stays else 0
        return self.weights + self.engine + self.trained - self.gradients + self.overhead + kept

    @property
    def training(self) -> int:
        """The peak of a pass forward and backward."""
        return self.held + max(self.activations + self.logits, self.last_layer, self.gradients)

    @property
    def sampling(self) -> int:
        """The peak while completions are sampled."""
        return self.held + (0 if self.cache_stays else self.cache)

    @property
    def total(self) -> int:
        """The peak of a step: sampling and training follow each other."""
        return max(self.training, self.sampling)

    @property
    def reserved(self) -> int:
        """The same in torch's figures: without the context and libraries."""
        return self.total - self.overhead

    def gib(self) -> dict[str, float]:
        """Part -> GiB, what torch reserves of them, and their total, for the record."""
        apart = ("cache_stays", "gradients", "last_layer")
        parts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in apart}
        sums = {"reserved": self.reserved, "total": self.total}
        return {name: round(value / GIB, 3) for name, value in (parts | sums).items()}


def estimate(job: Workload, sequences: int, checkpointing: bool) -> Estimate:
    """The memory of a run whose micro-batch has so many sequences (or pairs)."""
    engine = held_keys = 0
    if job.rollout.in_process:
        own = weights(job) + workspace(job)
        taken = (job.rollout.gpu_memory_utilization or share(job)) * job.capacity
        held_keys = int(max(taken - own, 0))
        engine = own - (weights(job) if job.rollout.fast_inference else 0)
    elif job.method.online and not job.rollout.vllm:
        held_keys = cache(job)
    tokens = sequences * job.method.sequences_per_row * job.tokens
    whole = sequences >= job.sequences
    return Estimate(
        weights=weights(job),
        engine=engine,
        cache=held_keys,
        trained=trained(job),
        activations=held.activations(job, tokens, checkpointing),
        logits=held.logits(job, tokens, checkpointing),
        overhead=OVERHEAD,
        cache_stays=job.rollout.in_process,
        gradients=gradients(job) if whole else 0,
        last_layer=gradients(job, tables=1) + held.last_layer(job, tokens) if whole else 0,
    )


def workspace(job: Workload) -> int:
    """Bytes vLLM takes besides weights and cache."""
    return WORKSPACE + SAMPLER_BYTES * job.size.vocab_size * job.sequences


def cache_per_token(job: Workload) -> int:
    """Bytes of keys and values of one token."""
    return 2 * job.size.num_hidden_layers * job.keys * job.bytes


def cache(job: Workload) -> int:
    """Bytes that torch reserves while ``generate`` samples all completions of a step: the prompts' keys and values, and
    the buffers that they are copied into, each as long as it grew; what is beside them (STATES, SCORES)."""
    rows = _whole(job.prompt + GROWN + 1)
    buffers = rows
    while rows < job.tokens + 1:
        rows = min(2 * rows, _whole(job.tokens + 1))
        buffers += rows
    states = STATES * job.prompt * job.size.hidden_size
    scores = SCORES * buffers * job.size.num_attention_heads * job.size.num_hidden_layers
    beside = int((states + scores) * job.bytes) * job.sequences + SAMPLED
    return cache_per_token(job) * (job.prompt + buffers) * job.sequences + beside


def _whole(tokens: int) -> int:
    return -(-tokens // ROWS) * ROWS


def trained(job: Workload) -> int:
    """Bytes that training adds to the weights: gradients and optimizer, the adapter's weights, a reference model (an
    adapter has its base)."""
    optim = str(job.arguments.get("optim"))
    if job.model.full_finetuning:
        states = optimizer_bytes(optim, job.bytes)
        return gradients(job) + parameters(job.size) * states + (weights(job) if _reference(job) else 0)
    return gradients(job) + adapter_parameters(job.size, job.model) * (4 + optimizer_bytes(optim, 4))


def gradients(job: Workload, tables: int = 2) -> int:
    """Bytes of a step's gradients; where head and embedding are one matrix, both are there before they are added, and
    one of them while the layers go backward (``tables``)."""
    if not job.model.full_finetuning:
        return adapter_parameters(job.size, job.model) * 4
    counted = 1 if job.size.tie_word_embeddings else 2
    numbers = parameters(job.size) + (tables - counted) * job.size.vocab_size * job.size.hidden_size
    return int(SPREAD * job.bytes * numbers)


def optimizer_bytes(optim: str, number: int) -> int:
    """Bytes of the optimizer's states for one trained number of so many bytes, by transformers' name of it."""
    if optim in ("sgd", "lomo", "adalomo") or "adafactor" in optim:
        return 0
    states = 3 if "ademamix" in optim else 1 if any(n in optim for n in ("lion", "rmsprop", "adagrad")) else 2
    return states * (1 if "8bit" in optim or "4bit" in optim else number)


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
