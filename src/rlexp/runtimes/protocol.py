"""A runtime: what loads an artifact and answers with it, as whoever ships it would. One protocol for all of them.

Each has its own template engine and tokenizer; what goes in between (token ids) is what they are compared by. The gate,
``benchmark`` and ``evaluate`` speak to a runtime through ``host.Host``, in a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy

Messages = list[dict[str, Any]]

RUNTIMES = {
    "transformers": "rlexp.runtimes.with_transformers",
    "llama.cpp": "rlexp.runtimes.with_llama_cpp",
    "onnxruntime-genai": "rlexp.runtimes.with_genai",
    "vllm": "rlexp.runtimes.with_vllm",
}
"""Name -> the module whose ``load(spec)`` gives a ``Runtime``."""
ON_CPU = ("llama.cpp", "onnxruntime-genai")
"""Those whose wheels compute on a CPU, whatever the machine has."""


def cores() -> int:
    """Threads that a runtime computes with: as many as OMP_NUM_THREADS says, else the cores that this process has."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) else len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Spec:
    """What is loaded, and with what: it can be pickled."""

    runtime: str
    """A key of RUNTIMES."""
    path: Path
    """The artifact: a file or a folder."""
    adapter: Path | None = None
    """An adapter that is put on the model, unmerged; transformers only."""
    dtype: str | None = None
    """What it is computed in: float32, bfloat16, float16; None for the runtime's own choice."""
    device: str = "cpu"
    """cpu or cuda."""
    threads: int = field(default_factory=lambda: cores())
    context: int = 2048
    """Tokens of a sequence, prompt and completion, at most."""
    together: int = 4
    """Requests that are answered at once, at most."""
    template_kwargs: dict[str, Any] = field(default_factory=dict)
    """What is handed to the chat template."""
    load_in_4bit: bool = False
    """Holds the weights in bitsandbytes' 4 bits, as Unsloth trains on them; transformers on a GPU only."""
    rounding: str | None = None
    """Rounds the weights to q8_0 or q4_0 (blocks of 32) after loading; transformers only."""

    def rounded(self, rounding: str) -> Spec:
        """The same with its weights rounded, those of a base in 4 bits as its files hold them."""
        return replace(self, rounding=rounding, load_in_4bit=False)


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen."""

    max_new_tokens: int
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0: no limit."""


@dataclass(frozen=True)
class Generated:
    """One answer of a runtime."""

    ids: list[int]
    """Its tokens, with the one that ended it."""
    ended: bool
    """The model ended it, and not the limit of tokens."""
    seconds: list[float]
    """When each token was there, from the moment on that the request was handed over."""


class Runtime(Protocol):
    """An artifact in its runtime."""

    ends: list[int]
    """The ids that end a completion, as the artifact says them, in order."""
    loaded: str
    """What was loaded, as the runtime calls it: its version, the quantization that it saw, kernels."""

    def render(self, dialogues: Sequence[Messages]) -> list[str]:
        """The dialogues as text with a generation prompt, by the artifact's own template and the runtime's engine."""
        ...

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids that the runtime feeds for rendered text: special tokens are read, none is added unless the
        runtime does it by itself."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a completion, without special tokens."""
        ...

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, together: int = 1
    ) -> list[Generated]:
        """Completions of prompts given as token ids, one each.

        Args:
            seed: the same arguments give the same completions where the runtime can.
            together: requests that are under way at once, at most ``Spec.together``.
        """
        ...

    def logprobs(self, ids: Sequence[int], begin: int) -> numpy.ndarray:
        """Log-probabilities of the whole vocabulary at temperature 1, teacher-forced.

        Returns:
            float32 [len(ids) - begin, vocabulary]: row i is the distribution that ``ids[begin + i]`` was drawn from.

        Raises:
            NotImplementedError: this runtime gives none.
        """
        ...
