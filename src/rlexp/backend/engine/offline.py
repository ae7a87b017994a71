"""A vLLM of an evaluation's own: one base model, whose adapters are exchanged from call to call.

Source: ``vllm.LLM.generate`` with token ids, a seed for every request, and ``LoRARequest``.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.backend import compile_cache
from rlexp.backend.engine import arguments
from rlexp.backend.engine.engine import fit, options
from rlexp.backend.patches import Patches, model_class, sampler_kernels
from rlexp.compose import compiling
from rlexp.compose.run import Run

SHARE = 0.8
"""Of the device's memory at most: nothing else is loaded."""
SEQUENCES, BLOCK = 256, 16
"""Sequences that are decoded together, each with room for its whole length in blocks of so many tokens."""


@dataclass(frozen=True)
class Answer:
    """What vLLM answered to one request."""

    token_ids: list[int]
    cut: bool
    """The limit of tokens ended it."""
    logprobs: list[float] | None


class OfflineEngine:
    """vLLM with a base model. It compiles nothing, unless the run says so: an evaluation samples too little for that.

    Args:
        run: of the model, for its type and length.
        folder: of the model, or of one of which every weight was trained; None for a hub id.
        rank: the highest rank of the adapters that will be asked for; 0 for none.
    """

    def __init__(self, run: Run, folder: Path | None, rank: int) -> None:
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        compile_cache.keep()
        import vllm

        given: dict[str, Any] = {
            **options(run, folder),
            "model": str(folder or run.model.hub_id),
            "max_model_len": run.model.max_seq_length,
            "gpu_memory_utilization": SHARE,
            "max_num_seqs": SEQUENCES,
            # vLLM would make blocks of all the memory there is: for a small model tens of millions, a minute's work.
            "num_gpu_blocks_override": SEQUENCES * -(-run.model.max_seq_length // BLOCK) + 1,
            "seed": run.seed,
            "trust_remote_code": run.model.trust_remote_code,
            "logprobs_mode": "raw_logprobs",
            **({"enable_lora": True, "max_lora_rank": max(rank, 8), "max_loras": 1} if rank else {}),
        }
        patches = Patches(run.rollout.patches)
        patches.apply(model_class)
        patches.apply(sampler_kernels, run)
        compiled = compiling.said(run.rollout)
        plain = dataclasses.replace(run, rollout=dataclasses.replace(run.rollout, compiled=compiled))
        with fit(run):
            self._llm = vllm.LLM(**arguments.over({**given, **arguments.defaults(plain)}, run.rollout.engine))
        self._numbers: dict[Path, int] = {}

    def generate(
        self,
        prompts: Sequence[list[int]],
        how: dict[str, Any],
        seeds: Sequence[int],
        adapter: Path | None,
        logprobs: bool,
    ) -> list[Answer]:
        """Samples one completion of every prompt.

        Args:
            prompts: token ids.
            how: arguments of ``vllm.SamplingParams``.
            seeds: one a prompt.
            adapter: the folder of the adapter; None for the base.
            logprobs: hand back those of the sampled tokens.
        """
        from vllm import SamplingParams
        from vllm.lora.request import LoRARequest

        number = self._numbers.setdefault(adapter, len(self._numbers) + 1) if adapter else 0
        request = LoRARequest(f"adapter-{number}", number, str(adapter)) if adapter else None
        asked = [SamplingParams(**how, seed=seed, logprobs=0 if logprobs else None, detokenize=False) for seed in seeds]
        given: Any = [{"prompt_token_ids": ids} for ids in prompts]
        answers = self._llm.generate(given, asked, lora_request=request, use_tqdm=False)
        return [_answer(answer.outputs[0]) for answer in answers]

    def close(self) -> None:
        """Gives the memory of the device back."""
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self._llm.llm_engine.engine_core.shutdown()
        del self._llm
        cleanup_dist_env_and_memory()
        gc.collect()


def _answer(output: Any) -> Answer:
    ids = list(output.token_ids)
    found = output.logprobs and [places[token].logprob for places, token in zip(output.logprobs, ids, strict=True)]
    return Answer(ids, output.finish_reason == "length", found or None)


def rank_of(adapter: Path) -> int:
    """The rank of an adapter, from its config."""
    return int(json.loads((adapter / "adapter_config.json").read_text()).get("r", 0))
