"""vLLM as a runtime, on a GPU: merged weights, compressed-tensors, torchao."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlexp.backend.engine import artifact
from rlexp.runtimes.protocol import Generated, Sampling, Spec
from rlexp.runtimes.serving import LATE
from rlexp.runtimes.tokenized import Tokenized


def import_libraries() -> None:
    """Imports what it takes."""
    artifact.import_libraries()


def load(spec: Spec) -> Vllm:
    """Loads a folder of transformers.

    Raises:
        ValueError: vLLM cannot read it, or it does not fit the device.
    """
    return Vllm(spec, artifact.ArtifactEngine(spec.path, spec.dtype, spec.context, spec.together))


class Vllm(Tokenized):
    """A ``Runtime``: requests are batched as they come."""

    def __init__(self, spec: Spec, engine: artifact.ArtifactEngine) -> None:
        super().__init__(engine.tokenizer, spec.template_kwargs)
        self._engine = engine
        self.ends = engine.ends
        self.loaded = engine.loaded

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, together: int = 1
    ) -> list[Generated]:
        found = self._engine.generate(prompts, _how(sampling), _seeds(prompts, seed), together)
        return [Generated(*one) for one in found]

    def serve(
        self,
        prompts: Sequence[Sequence[int]],
        arrivals: Sequence[float],
        sampling: Sampling,
        seed: int = 0,
        together: int = 1,
        limit: float | None = None,
    ) -> list[Generated | None]:
        """As ``serving.serve``, by vLLM's own scheduler: what arrives joins those that are under way, ``Spec.together``
        of them at most."""
        late = LATE * len(prompts)
        found = self._engine.serve(prompts, arrivals, _how(sampling), _seeds(prompts, seed), limit, late)
        return [Generated(*one) if one else None for one in found]

    def logprobs(self, ids: Sequence[int], begin: int) -> Any:
        return self._engine.logprobs(ids, begin)


def _how(sampling: Sampling) -> dict[str, Any]:
    return {
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or -1,
    }


def _seeds(prompts: Sequence[Sequence[int]], seed: int) -> list[int]:
    return [(seed + place) % 2**31 for place in range(len(prompts))]
