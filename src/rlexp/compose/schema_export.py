"""The types of what is typed about an export: the second root ``export``, and the formats and types that there are.

``export=merged+gguf export.gguf.types=[q8_0]`` is composed beside the run's tree, not in it (``compose.exports``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from rlexp.compose.ranges import COUNT, FROM_0, Range, ranged


class Want(Enum):
    """What is asked of the artifact that is to be shipped."""

    smallest = "smallest"
    fastest = "fastest"


@dataclass
class Merged:
    """16-bit safetensors, the standard: what transformers, vLLM and every converter read."""

    types: list[str] = field(default_factory=lambda: ["16bit"])


@dataclass
class Gguf:
    """llama.cpp's file, which Ollama reads too."""

    types: list[str] = field(default_factory=lambda: ["f16", "q8_0", "q4_k_m"])
    imatrix_tokens: int = ranged(4096, COUNT)
    """Tokens of the run's own completions that the importance matrix of an ``_imat`` type is reckoned from."""


@dataclass
class Torchao:
    """Weights quantised by torchao, read by transformers (and vLLM on a GPU)."""

    types: list[str] | None = None
    """null: int8 on a CPU; int4 and fp8 on a GPU."""


@dataclass
class Onnx:
    """A folder of onnxruntime-genai: the graph with its KV cache, and how it generates."""

    types: list[str] = field(default_factory=lambda: ["fp32", "int8", "int4"])


@dataclass
class Compressed:
    """compressed-tensors, read by vLLM."""

    types: list[str] = field(default_factory=lambda: ["fp8", "w4a16"])


@dataclass
class Gate:
    """How an artifact is held against the run."""

    rows: int = ranged(64, COUNT)
    """Prompts of the eval task that are answered greedily by every artifact."""
    tokens: int = ranged(4096, COUNT)
    """Tokens of the run's own completions that log-probabilities are compared on, at least."""
    margin: float = ranged(0.03, Range(0, 1, above=True))
    """The loss of the task's metric that still counts as none: not inferior is what loses less with 95% confidence."""
    want: float | None = ranged(None, Range(0, 1, above=True))
    """Sizes the task so that a loss of this much is seen at 80% power; null: the rows that the task says."""
    temperature: float = ranged(0.0, FROM_0)
    """Of the task: greedy answers of two equal models are equal, so that little noise is left."""


@dataclass
class Export:
    """What is typed about an export."""

    merged: Merged = field(default_factory=Merged)
    gguf: Gguf = field(default_factory=Gguf)
    torchao: Torchao = field(default_factory=Torchao)
    onnx: Onnx = field(default_factory=Onnx)
    compressed: Compressed = field(default_factory=Compressed)
    gate: Gate = field(default_factory=Gate)
    task: str = "held_out"
    """The eval task that the artifacts are scored on."""
    want: Want | None = None
    """Names the one to ship: the smallest or the fastest among those that lose at most ``at_most``."""
    at_most: float = ranged(0.03, Range(0, 1))
    """Of ``want``: the loss of the task's metric that is taken, with 95% confidence."""
    push: str | None = None
    """Where the artifacts are copied to: dir:FOLDER, s3://BUCKET/..., hf://ORG/NAME; broken ones are not."""
    dir: str | None = None
    """The folder of the export; null: exports/ and the name of the run."""


TYPES: dict[str, dict[str, str]] = {
    "merged": {"16bit": "the base's own 16-bit type; float16 for a base of 32 bits"},
    "gguf": {
        "f16": "16-bit floats",
        "q8_0": "8 bits in blocks of 32",
        "q4_k_m": "4 bits, the widely used mix",
        "q5_k_m": "5 bits, mixed",
        "q6_k": "6 bits",
        "q4_k_m_imat": "q4_k_m weighted by the run's own completions",
        "iq4_xs_imat": "4.25 bits, weighted likewise",
        "q3_k_m_imat": "3 bits, weighted likewise",
    },
    "torchao": {"int8": "8-bit weights", "int4": "4-bit weights (GPU)", "fp8": "8-bit floats (GPU)"},
    "onnx": {"fp32": "32-bit floats", "int8": "8-bit weights", "int4": "4-bit weights"},
    "compressed": {"fp8": "8-bit floats, activations likewise", "w4a16": "4-bit weights in groups"},
}
"""Format -> type -> what it is."""

ON_GPU = {"torchao": ("int4", "fp8")}
"""Format -> types that are made and run on a GPU only."""
