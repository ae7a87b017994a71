"""Samples with vLLM, on an engine that an evaluation started for itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.backend.engine.offline import OfflineEngine
from rlexp.backend.prompts import Dialogue, prompt_ids
from rlexp.compose.run import Run
from rlexp.evaluate.sampler import Completion, Sampling


class VllmSampler:
    """A ``Sampler`` over vLLM.

    Args:
        engine: with the base model.
        adapter: the folder of the adapter that is sampled; None for the base.
        ends: the ids that end a completion.
    """

    def __init__(self, run: Run, engine: OfflineEngine, tokenizer: Any, ends: set[int], adapter: Path | None) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        self.ends = ends
        self.adapter = adapter
        self.template_kwargs = run.chat_template_kwargs

    def sample(
        self, dialogues: Sequence[Dialogue], n: int, sampling: Sampling, seed: int, logprobs: bool = False
    ) -> list[list[Completion]]:
        """Does as ``Sampler.sample``: a seed for every completion, so that no other request changes it but by rounding."""
        ids = prompt_ids(self.tokenizer, dialogues, self.template_kwargs)
        how: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "max_tokens": sampling.max_new_tokens,
            "stop_token_ids": sorted(self.ends),
            **sampling.more,
        }
        asked = [prompt for prompt in ids for _ in range(n)]
        seeds = [request_seed(seed, place) for place in range(len(asked))]
        answers = self.engine.generate(asked, how, seeds, self.adapter, logprobs)
        texts = self.tokenizer.batch_decode([answer.token_ids for answer in answers], skip_special_tokens=True)
        found = [Completion(a.token_ids, text, a.cut, a.logprobs) for a, text in zip(answers, texts, strict=True)]
        return [found[start : start + n] for start in range(0, len(found), n)]


def request_seed(seed: int, place: int) -> int:
    """The seed of a request: 31 bits that follow from the evaluation's and its place."""
    digest = hashlib.sha256(f"{seed}/{place}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
