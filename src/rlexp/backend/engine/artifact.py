"""A vLLM of one artifact, whose requests are stepped through by hand, so that the time of every token is known.

Source: vLLM 0.26: ``LLMEngine.add_request`` and ``step`` (v1/engine/llm_engine.py), ``FlatLogprobs`` (logprobs.py). The
engine runs in this process. What ends a completion is what vLLM reads from the artifact.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.backend import compile_cache, telemetry

SHARE = 0.8
"""Of the device's memory at most."""
BLOCK = 16
"""Tokens of a block of the KV cache."""


def import_libraries() -> None:
    """Imports vLLM, with the cache of compiled kernels that runs have."""
    telemetry.switch_off()
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    compile_cache.keep()
    import vllm  # noqa: F401


class ArtifactEngine:
    """vLLM with an artifact; prompts are not cached, so that every request costs what it costs alone.

    Args:
        dtype: what it is computed in; None for what the artifact says.
        context: tokens of a sequence at most.
        together: sequences that are decoded at once at most.
    """

    def __init__(self, folder: Path, dtype: str | None, context: int, together: int) -> None:
        import vllm

        self._llm = vllm.LLM(
            model=str(folder),
            dtype=dtype or "auto",
            max_model_len=context,
            max_num_seqs=together,
            num_gpu_blocks_override=together * -(-context // BLOCK) + 1,
            gpu_memory_utilization=SHARE,
            enable_prefix_caching=False,
            logprobs_mode="raw_logprobs",
            max_logprobs=-1,
            seed=0,
        )
        self._requests = 0
        self.tokenizer: Any = self._llm.get_tokenizer()
        config = self._llm.llm_engine.model_config
        stated = config.try_get_generation_config().get("eos_token_id", [])
        ids = stated if isinstance(stated, list) else [stated]
        self.ends = sorted({one for one in (*ids, self.tokenizer.eos_token_id) if one is not None})
        kernels = ", ".join(self._llm.apply_model(_kernels)[0])
        kind = config.quantization or str(config.dtype).removeprefix("torch.")
        self.loaded = f"vllm {vllm.__version__}, {kind}, {kernels}"

    def generate(
        self, prompts: Sequence[Sequence[int]], how: dict[str, Any], seeds: Sequence[int], together: int
    ) -> list[tuple[list[int], bool, list[float]]]:
        """Samples one completion of every prompt; a new one is handed over as soon as another ends.

        Args:
            how: arguments of ``vllm.SamplingParams``.
            seeds: one a prompt.
            together: requests under way at once.

        Returns:
            For each its token ids, whether the model ended it, and when each token was there, in seconds after the
            request was handed over.
        """
        from vllm import SamplingParams

        engine = self._llm.llm_engine
        waiting = list(range(len(prompts)))[::-1]
        places: dict[str, int] = {}
        began: dict[int, float] = {}
        times: list[list[float]] = [[] for _ in prompts]
        found: dict[int, tuple[list[int], bool, list[float]]] = {}
        while len(found) < len(prompts):
            while waiting and len(began) - len(found) < together:
                place = waiting.pop()
                self._requests += 1
                name = str(self._requests)
                places[name], began[place] = place, time.perf_counter()
                given: Any = {"prompt_token_ids": list(prompts[place])}
                engine.add_request(name, given, SamplingParams(**how, seed=seeds[place], detokenize=False))
            for answer in engine.step():
                place, (output,) = places[answer.request_id], answer.outputs
                new = len(output.token_ids) - len(times[place])
                times[place] += [time.perf_counter() - began[place]] * new
                if answer.finished:
                    found[place] = list(output.token_ids), output.finish_reason == "stop", times[place]
        return [found[place] for place in range(len(prompts))]

    def logprobs(self, ids: Sequence[int], begin: int) -> Any:
        """Log-probabilities of the whole vocabulary, teacher-forced (``runtimes.protocol.Runtime.logprobs``).

        vLLM hands them back as Python's lists of numbers: some seconds for a hundred tokens of a large vocabulary.
        """
        import numpy
        from vllm import SamplingParams

        asked = SamplingParams(max_tokens=1, prompt_logprobs=-1, flat_logprobs=True, detokenize=False)
        given: Any = [{"prompt_token_ids": list(ids)}]
        (answer,) = self._llm.generate(given, asked, use_tqdm=False)
        flat: Any = answer.prompt_logprobs
        size = self._llm.llm_engine.model_config.get_vocab_size()
        rows = numpy.full((len(ids) - begin, size), -numpy.inf, dtype=numpy.float32)
        for row, place in zip(rows, range(begin, len(ids)), strict=True):
            part = slice(flat.start_indices[place], flat.end_indices[place])
            row[flat.token_ids[part]] = flat.logprobs[part]
        return rows


def _kernels(model: Any) -> list[str]:
    """The classes that compute the layers: that of the scheme where there is one, and of its kernel."""
    found = set()
    for layer in model.modules():
        method = getattr(layer, "scheme", None) or getattr(layer, "quant_method", None)
        if method is not None:
            kernel = getattr(method, "kernel", None)
            found.add(type(method).__name__ + (f" with {type(kernel).__name__}" if kernel is not None else ""))
    return sorted(found)
