"""Samples from an OpenAI-compatible endpoint: a model that runs elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

from rlexp.backend.prompts import Dialogue, WithTools
from rlexp.compose.run import Run
from rlexp.evaluate.endpoint import Endpoint
from rlexp.evaluate.sampler import Completion, Sampling
from rlexp.inputs.digest import json_sha256

CONCURRENT = 16
"""Requests under way at a time."""


class UrlSampler:
    """A ``Sampler`` over an endpoint.

    Conversations are rendered there, by its own chat template; plain text is completed as it is. Every request has a
    seed of its own, so that the same arguments give the same completions as far as the endpoint keeps to seeds.

    Args:
        run: says what the chat template is given beside the messages.
        url: what stands before ``/chat/completions``.
        model: its name there.
    """

    def __init__(self, run: Run, url: str, model: str) -> None:
        self.url = url
        self.model = model
        self.template_kwargs = run.chat_template_kwargs

    def sample(
        self, dialogues: Sequence[Dialogue], n: int, sampling: Sampling, seed: int, logprobs: bool = False
    ) -> list[list[Completion]]:
        """Does as ``Sampler.sample``; token ids and log-probabilities are not known.

        Raises:
            RunError: the endpoint is not there, or failed for good.
        """
        with Endpoint(self.url) as endpoint, ThreadPoolExecutor(CONCURRENT) as pool:
            futures = [
                pool.submit(self._completion, endpoint, dialogue, sampling, seed_of(seed, place, number))
                for place, dialogue in enumerate(dialogues)
                for number in range(n)
            ]
            try:
                ended = wait(futures, return_when=FIRST_EXCEPTION)
                for future in ended.done:
                    future.result()
            finally:
                endpoint.stop()
                pool.shutdown(cancel_futures=True)
            found = [future.result() for future in futures]
        return [found[start : start + n] for start in range(0, len(found), n)]

    def _completion(self, endpoint: Endpoint, dialogue: Dialogue, sampling: Sampling, seed: int) -> Completion:
        body: dict[str, Any] = {
            "model": self.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
            "seed": seed,
            **({"top_k": sampling.top_k} if sampling.top_k else {}),  # no field of OpenAI's, but of those who serve
            **sampling.more,
        }
        if isinstance(dialogue, str):
            path, body["prompt"] = "completions", dialogue
        else:
            path, body["messages"] = "chat/completions", list(dialogue)
            if isinstance(dialogue, WithTools):
                body["tools"] = dialogue.tools
            if self.template_kwargs:
                body["chat_template_kwargs"] = self.template_kwargs
        answer = endpoint.post(path, body)
        try:
            choice = answer["choices"][0]
            text = choice["text"] if isinstance(dialogue, str) else choice["message"]["content"] or ""
            truncated = choice.get("finish_reason") == "length"
        except (LookupError, TypeError, AttributeError) as error:
            raise endpoint.odd(answer, path) from error
        if not isinstance(text, str):
            raise endpoint.odd(answer, path)
        usage = answer.get("usage")
        tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
        known = isinstance(tokens, int) and not isinstance(tokens, bool) and 0 <= tokens < 2**31
        # Half a surrogate pair, which JSON can say, is no text that can be stored.
        return Completion([], text.encode("utf-8", "replace").decode(), truncated, tokens=tokens if known else None)


def seed_of(seed: int, place: int, number: int) -> int:
    """The seed of one request, of 31 bits.

    Args:
        place: of the prompt.
        number: of its sample.
    """
    return int(json_sha256([seed, place, number])[:8], 16) >> 1
