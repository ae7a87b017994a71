"""A vLLM of one artifact, whose requests are stepped through by hand, so that the time of every token is known.

Source: vLLM 0.26: ``LLMEngine.add_request``, ``step`` and ``abort_request`` (v1/engine/llm_engine.py),
``EngineCoreOutput`` (v1/engine/__init__.py). The engine runs in this process. What ends a completion is what vLLM reads
from the artifact.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.backend import compile_cache, telemetry

SHARE = 0.8
"""Of the device's memory at most, and of what is free of it."""
BLOCK = 16
"""Tokens of a block of the KV cache."""
CACHE = 0.5
"""Of that memory: where a cache for all sequences at full length would take more, vLLM chooses its size, and makes
sequences wait."""

Answered = tuple[list[int], bool, list[float]]
"""Token ids, whether the model ended it, and when each token was there, in seconds."""


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
        import torch
        import vllm
        from transformers import AutoConfig

        free, total = torch.cuda.mem_get_info()
        share = SHARE * min(1.0, free / total)
        config = AutoConfig.from_pretrained(folder).get_text_config()
        # One token more than a sequence has: vLLM asks for room for a sampled one, also where none is wanted.
        longest = context + (context < (getattr(config, "max_position_embeddings", None) or math.inf))
        blocks = together * -(-longest // BLOCK) + 1
        self._context = context
        self._llm = vllm.LLM(
            model=str(folder),
            dtype=dtype or "auto",
            max_model_len=longest,
            max_num_seqs=together,
            # vLLM would make blocks of all the memory there is: for a small model tens of millions, a minute's work.
            num_gpu_blocks_override=blocks if blocks * BLOCK * _bytes(config) < CACHE * share * total else None,
            gpu_memory_utilization=share,
            enable_prefix_caching=False,
            logprobs_mode="raw_logprobs",
            max_logprobs=-1,
            seed=0,
        )
        self._requests = 0
        self.tokenizer: Any = self._llm.get_tokenizer()
        model = self._llm.llm_engine.model_config
        stated = model.try_get_generation_config().get("eos_token_id", [])
        ids = stated if isinstance(stated, list) else [stated]
        self.ends = sorted({one for one in (*ids, self.tokenizer.eos_token_id) if one is not None})
        kernels = ", ".join(self._llm.apply_model(_kernels)[0])
        kind = model.quantization or str(model.dtype).removeprefix("torch.")
        self.loaded = f"vllm {vllm.__version__}, {kind}, {kernels}"

    def generate(
        self, prompts: Sequence[Sequence[int]], how: dict[str, Any], seeds: Sequence[int], together: int
    ) -> list[Answered]:
        """Samples one completion of every prompt; a new one is handed over as soon as another ends.

        Args:
            how: arguments of ``vllm.SamplingParams``.
            seeds: one a prompt.
            together: requests under way at once.

        Returns:
            For each what was sampled, with seconds from when the request was handed over.

        Raises:
            ValueError: a prompt is empty, or leaves no room in the context.
        """
        found = self._answers(prompts, how, seeds, together)
        return [one for one in found if one]

    def serve(
        self,
        prompts: Sequence[Sequence[int]],
        arrivals: Sequence[float],
        how: dict[str, Any],
        seeds: Sequence[int],
        limit: float | None,
        late: float,
    ) -> list[Answered | None]:
        """Samples one completion of every prompt once it has arrived: each is handed to vLLM's scheduler at once.

        Args:
            arrivals: seconds from the start on, rising.
            limit: seconds that an answer may take.
            late: so many may take longer, or it ends.

        Returns:
            For each what was sampled, with seconds from its arrival on; None of those that were given up.
        """
        return self._answers(prompts, how, seeds, len(prompts), arrivals, math.inf if limit is None else limit, late)

    def _answers(
        self,
        prompts: Sequence[Sequence[int]],
        how: dict[str, Any],
        seeds: Sequence[int],
        together: int,
        arrivals: Sequence[float] | None = None,
        limit: float = math.inf,
        late: float = 0,
    ) -> list[Answered | None]:
        engine, start, first = self._llm.llm_engine, time.perf_counter(), 0
        under_way: dict[str, int] = {}
        began = [start + one for one in arrivals] if arrivals is not None else [math.inf] * len(prompts)
        times: list[list[float]] = [[] for _ in prompts]
        found: list[Answered | None] = [None] * len(prompts)
        try:
            while first < len(prompts) or under_way:
                while first < len(prompts) and len(under_way) < together:
                    now = time.perf_counter()
                    if arrivals is None:
                        began[first] = now
                    elif began[first] > now:
                        break
                    under_way[self._add(prompts[first], how, seeds[first])] = first
                    first += 1
                if not under_way:
                    time.sleep(max(0.0, began[first] - time.perf_counter()))
                    continue
                for answer in engine.step():
                    place, (output,) = under_way[answer.request_id], answer.outputs
                    new = len(output.token_ids) - len(times[place])
                    times[place] += [time.perf_counter() - began[place]] * new
                    if answer.finished:
                        found[place] = list(output.token_ids), output.finish_reason == "stop", times[place]
                        del under_way[answer.request_id]
                if limit < math.inf and _late(found[:first], began, limit) > late:
                    break
        finally:
            engine.abort_request(list(under_way))
        return found

    def _add(self, prompt: Sequence[int], how: dict[str, Any], seed: int, spare: int = 0) -> str:
        """Hands a request over, with so many tokens beyond the context; gives its name."""
        from vllm import SamplingParams

        room = self._context + spare - len(prompt)
        if room <= 0:
            raise ValueError(f"{len(prompt)} tokens, and the context is of {self._context}")
        self._requests += 1
        asked = {**how, "max_tokens": min(how["max_tokens"], room), "seed": seed, "detokenize": False}
        given: Any = {"prompt_token_ids": list(prompt)}
        self._llm.llm_engine.add_request(str(self._requests), given, SamplingParams(**asked))
        return str(self._requests)

    def logprobs(self, ids: Sequence[int], begin: int) -> Any:
        """Log-probabilities of the whole vocabulary, teacher-forced (``runtimes.protocol.Runtime.logprobs``).

        They are taken as vLLM's core hands them over: its front would make Python's numbers of them, some seconds for
        a hundred tokens of a large vocabulary.
        """
        import numpy

        engine, parts, ended = self._llm.llm_engine, list[Any](), False
        name = self._add(ids, {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": -1}, 0, spare=1)
        try:
            while not ended:
                for one in engine.engine_core.get_output().outputs:
                    if one.new_prompt_logprobs_tensors is not None:
                        parts.append(one.new_prompt_logprobs_tensors)
                    ended = ended or one.finish_reason is not None
        finally:
            engine.abort_request([name])  # of which the front waits for an answer
        found = rows(parts, engine.model_config.get_vocab_size())
        if len(found) != len(ids) - 1:
            raise ValueError(f"vLLM gave log-probabilities of {len(found)} tokens, not {len(ids) - 1}")
        return numpy.ascontiguousarray(found[begin - 1 :])


def rows(parts: Sequence[Any], vocabulary: int) -> Any:
    """Log-probabilities in the order of the vocabulary.

    Args:
        parts: vLLM's ``LogprobsTensors``, one after the other: in each row the token itself, then all by falling
            probability.

    Returns:
        float32 [tokens, vocabulary].
    """
    import torch

    ids = torch.cat([one.logprob_token_ids for one in parts]).cpu().long()
    values = torch.cat([one.logprobs for one in parts]).cpu().float()
    found = torch.full((len(ids), vocabulary), -math.inf)
    return found.scatter_(1, ids[:, 1:], values[:, 1:]).numpy()


def _late(found: Sequence[Answered | None], began: Sequence[float], limit: float) -> int:
    """How many took longer than a limit, or have been under way for longer."""
    now = time.perf_counter()
    seconds = (one[2][-1] if one else now - since for one, since in zip(found, began, strict=False))
    return sum(one > limit for one in seconds)


def _bytes(config: Any) -> int:
    """Bytes of a token in the KV cache, in 16 bits."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * 2 * config.num_hidden_layers * heads * width


def _kernels(model: Any) -> list[str]:
    """The classes that compute the layers: that of the scheme where there is one, and of its kernel."""
    found = set()
    for layer in model.modules():
        method = getattr(layer, "scheme", None) or getattr(layer, "quant_method", None)
        if method is not None:
            kernel = getattr(method, "kernel", None) or getattr(method, "fp8_linear", None)
            found.add(type(method).__name__ + (f" with {type(kernel).__name__}" if kernel is not None else ""))
    return sorted(found)
