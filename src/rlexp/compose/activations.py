"""What a pass forward and backward holds, counted from what the kernels save.

Of a layer and token, in numbers of the model's type; h hidden_size, i intermediate_size, q and kv the widths of queries
and of keys. With Unsloth's model and an adapter (unsloth/kernels, 2026.10):

- both norms save their input (2 h), the fused QKV and MLP theirs, which are the norms' outputs (2 h); the MLP gate and
  up (2 i) and not their product (``LoRA_QKV``, ``LoRA_MLP`` in fast_lora.py);
- attention saves Q, K, V and its output (2 q + 2 kv), which the output projection shares. Where all sequences of a pass
  are equally long it goes through ``_sdpa_packed_segments``, which joins the output anew: q more, always counted;
- a model that normalises queries and keys has them before that, too (q + kv; ``Fast_QK_Norm_RoPE``);
- dropout in front of the adapter keeps a mask of one byte a number.

The layer at work adds 2 i + 2 h (gradients of the MLP, of the stream). With recomputation a layer leaves its input (h)
and the layer at work is recomputed whole: Unsloth's offloading was not seen to move it off the GPU.

Every weight trained: Unsloth takes transformers' modules. They save the product of gate and up, too (i), and packed
sequences get a mask of all tokens by all tokens, of which each layer keeps a copy of two bytes (torch turns the boolean
one into a bias): it grows with the square of the pass.

transformers' model: the count of Korthikanti et al. 2022 (arXiv:2205.05198, section 4) for SwiGLU, RMSNorm, grouped
queries, attention that stores no scores, and LoRA on all linear layers, which saves the input of each; times HELD.
"""

from __future__ import annotations

from rlexp.compose.schema import Loader
from rlexp.compose.workload import GIB, Workload

HELD = 1.1
"""Activations that transformers' model held over those counted: 19.5 GiB allocated with 64 sequences of 274 tokens at
135M (perf/results/2026-11-25_4b_h100.md)."""
UNUSED = 1.02
"""What torch reserves over what is allocated while it trains; 1.01 to 1.03 (perf/results/2026-11-29_memory_h200.md)."""
KERNELS = int(0.1 * GIB)
"""Workspaces of cuBLAS and of Triton's kernels, rotary tables."""
FIRST_LOGITS = 512 * 151936
"""Scores of a fused head at once, at least (``fused_linear_rows`` of unsloth_zoo/fused_losses/fused_linear.py)."""
LEAST_ROWS, MOST_ROWS = 512, 4096
CHUNK_TOKENS = 1024
"""Tokens at once of TRL's head (``add_fused_lm_head`` of trl/trainer/utils.py)."""
LOGIT_BYTES = {Loader.unsloth: 6, Loader.transformers: 10}
"""Bytes of a score: in float32 and its gradient in two bytes; TRL's also in the model's own type."""


def saved(job: Workload) -> float:
    """Bytes that one layer keeps of a token for the backward pass."""
    size, q, kv = job.size, job.queries, job.keys
    h, i = size.hidden_size, size.intermediate_size
    if job.rollout.loader is Loader.transformers:
        return job.bytes * (9 * h + 3 * q + 2 * kv + 4 * i) * HELD
    normed = q + kv if size.qk_norm else 0
    products = i if job.model.full_finetuning else 0
    dropped = 5 * h + q + i if job.model.lora.lora_dropout and not job.model.full_finetuning else 0
    return job.bytes * (4 * h + 2 * i + 3 * q + 2 * kv + normed + products) + dropped


def at_work(job: Workload) -> float:
    """Bytes a token that the layer at work adds to what is saved; transformers' is in HELD."""
    if job.rollout.loader is Loader.transformers:
        return 0
    return job.bytes * 2 * (job.size.intermediate_size + job.size.hidden_size)


def masks(job: Workload, tokens: int, layers: int) -> int:
    """Bytes of the masks of a packed row, tokens by tokens: one of each layer that keeps it, and one that is made."""
    packed = job.model.full_finetuning and job.rollout.loader is Loader.unsloth and job.method.online
    return tokens * tokens * job.bytes * (layers + 1) if packed else 0


def activations(job: Workload, tokens: int, checkpointing: bool) -> int:
    """Bytes of one micro-batch, without the output head."""
    layers = job.size.num_hidden_layers
    kept = layers * (job.bytes * job.size.hidden_size if checkpointing else saved(job))
    mask = masks(job, tokens, 0 if checkpointing else layers)
    return int((tokens * (kept + layer(job, checkpointing)) + mask) * UNUSED) + KERNELS


def last_layer(job: Workload, tokens: int) -> int:
    """Bytes of the layer that goes backward last, when nothing of the others is left."""
    return int((tokens * layer(job, True) + masks(job, tokens, 0)) * UNUSED) + KERNELS


def layer(job: Workload, checkpointing: bool) -> float:
    """Bytes a token of the layer at work, which the head comes before."""
    return at_work(job) + (saved(job) if checkpointing else 0)


def logits(job: Workload, tokens: int, checkpointing: bool) -> int:
    """Bytes of the output head beyond those of one layer at work: its chunk of scores comes before the first layer. The
    gradient of a trained head stays."""
    size, loader = job.size, job.rollout.loader
    whole = job.method.whole_logits and loader is Loader.transformers
    rows = tokens if whole else chunk(job, tokens)
    scores = rows * size.vocab_size * LOGIT_BYTES[loader]
    gradient = size.vocab_size * size.hidden_size * job.bytes if job.model.full_finetuning else 0
    return gradient + max(int(scores - tokens * layer(job, checkpointing)), 0)


def chunk(job: Workload, tokens: int) -> int:
    """Tokens of the output head at once; Unsloth's are a power of two."""
    if job.rollout.loader is Loader.transformers:
        return min(tokens, CHUNK_TOKENS)
    size = job.size
    wide = tokens * size.hidden_size // size.vocab_size
    rows = max(_power_below(wide), min(max(_power_below(FIRST_LOGITS // size.vocab_size), LEAST_ROWS), MOST_ROWS))
    return min(rows, MOST_ROWS, tokens)


def _power_below(number: int) -> int:
    return 1 << (number.bit_length() - 1) if number else 0
