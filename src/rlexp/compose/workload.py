"""What decides the memory of a run on one device: the model's shape and type, the trainer's arguments, the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlexp.compose.methods import Method
from rlexp.compose.schema import Dtype, Hardware, Model, Rollout, Size

GIB = 2**30
UNKNOWN_GIB = 14.5
"""GiB of a device nobody has measured: as much as torch can use of a card sold with 16 GB (a T4)."""
FOUR_BIT = 4.5 / 8


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

    @property
    def prompt(self) -> int:
        """Tokens of the longest prompt beside a completion at full length; 1 where nothing is sampled."""
        return max(self.tokens - (self.arguments.get("max_completion_length") or self.tokens), 1)

    @property
    def queries(self) -> int:
        """The width of the queries of one token and layer."""
        return self.size.num_attention_heads * self.size.head_dim

    @property
    def keys(self) -> int:
        """The width of its keys, and of its values."""
        return self.size.num_key_value_heads * self.size.head_dim


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


def adapter_parameters(size: Size, model: Model) -> int:
    """The number of parameters of the adapter: r x (in + out) a layer that has one; ``all-linear`` are all seven."""
    h, i = size.hidden_size, size.intermediate_size
    q, kv = size.num_attention_heads * size.head_dim, size.num_key_value_heads * size.head_dim
    ends = {"q_proj": h + q, "k_proj": h + kv, "v_proj": h + kv, "o_proj": q + h}
    ends |= dict.fromkeys(("gate_proj", "up_proj", "down_proj"), h + i)
    named = list(ends) if isinstance(model.lora.target_modules, str) else model.lora.target_modules
    return size.num_hidden_layers * model.lora.r * sum(ends.get(name, 0) for name in named)
