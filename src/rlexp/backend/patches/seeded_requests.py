"""Every completion that vLLM samples has a seed of its own, from the run's seed, the step and its row.

vLLM draws what has no seed from a random state inside the engine, which no checkpoint holds: a run that goes on in
another process would sample anew. With a seed a completion depends on its prompt, the weights and the seed alone, and
on neither the process nor what is sampled beside it, apart from the rounding of products of other batch sizes.

In the process a request is a row. A server is asked for all completions of a prompt at once, and vLLM gives the n-th of
them the seed of the request + n; as a request has one seed for all of its prompts, each prompt becomes a request.

Source: ``vllm.SamplingParams.seed``; ``ParentRequest`` of vllm/v1/engine/parallel_sampling.py.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rlexp.backend import ranks
from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed

if TYPE_CHECKING:
    from rlexp.backend.trainers.protocol import Generation, OnlineTrainer

PATCH = Patch(
    name="seeded_requests",
    target="generate of trl.generation.vllm_generation.VLLMGeneration, and of its vllm.LLM or VLLMClient meanwhile",
    reason="vLLM draws from a random state in the engine, which a run that goes on in another process cannot have.",
    gain="not measured alone",
    upstream="https://github.com/vllm-project/vllm/blob/v0.26.0/vllm/v1/engine/parallel_sampling.py",
    made_for={"trl": "1.15", "vllm": "0.26"},
    expires="when TRL seeds every request by step and row",
)
AT_ONCE = 64
"""Requests that a server is sent at once."""


def apply(trainer: OnlineTrainer, generation: Generation, run_seed: int) -> Outcome:
    """Has a trainer's vLLM seed what it samples.

    Args:
        generation: ``trainer.vllm_generation``.
        run_seed: the seed of the run.
    """
    if "seed" in generation.generation_kwargs:
        return not_needed("method.generation_kwargs names a seed")
    seeds = Seeds(run_seed, lambda: int(trainer.state.global_step))
    sampler = generation.llm if generation.mode == "colocate" else generation.vllm_client
    seeded = in_process if generation.mode == "colocate" else of_server
    inner = generation.generate

    @functools.wraps(inner)
    def generate(*args: Any, **kwargs: Any) -> Any:
        with meanwhile(sampler, "generate", seeded(sampler.generate, seeds)):
            return inner(*args, **kwargs)

    generation.generate = generate
    return APPLIED


class Seeds:
    """The seeds of a run's completions.

    Args:
        run_seed: the seed of the run.
        step: optimizer steps that were trained.
    """

    def __init__(self, run_seed: int, step: Callable[[], int]) -> None:
        self.run_seed = run_seed
        self.step = step
        self._last = (-1, 0)
        """The step of the last call, and the calls before it in that step."""

    def call(self) -> Callable[[int], int]:
        """The seeds of one generation: row -> its seed, below 2**31. A second one in a step has others."""
        step, (last, calls) = self.step(), self._last
        self._last = (step, calls + 1 if step == last else 0)
        named = f"{self.run_seed} {step} {self._last[1]}"

        def seed(row: int) -> int:
            return int.from_bytes(hashlib.sha256(f"{named} {row}".encode()).digest()[:4]) >> 1

        return seed


def in_process(generate: Callable[..., Any], seeds: Seeds) -> Callable[..., Any]:
    """``vllm.LLM.generate``, its one set of sampling parameters made one a prompt, each with a seed."""

    @functools.wraps(generate)
    def seeded(prompts: list[Any], sampling_params: Any, **kwargs: Any) -> Any:
        seed, each, before = seeds.call(), [], ranks.current().number * len(prompts)
        for row in range(before, before + len(prompts)):
            parameters = sampling_params.clone()
            parameters.seed = seed(row)
            each.append(parameters)
        return generate(prompts, sampling_params=each, **kwargs)

    return seeded


def of_server(generate: Callable[..., Any], seeds: Seeds) -> Callable[..., Any]:
    """``VLLMClient.generate``, a request a prompt, each with a seed; the answer is that of one request."""

    @functools.wraps(generate)
    def seeded(
        prompts: list[Any],
        features: Any = None,
        n: int = 1,
        generation_kwargs: dict[str, Any] | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        seed = seeds.call()

        def ask(number: int) -> dict[str, Any]:
            own = {**(generation_kwargs or {}), "seed": seed(number * n)}
            shown = None if features is None else [features[number]]
            return generate(prompts=[prompts[number]], features=shown, n=n, generation_kwargs=own, **parameters)

        with ThreadPoolExecutor(min(AT_ONCE, max(len(prompts), 1))) as pool:
            answers = list(pool.map(ask, range(len(prompts))))
        return {key: _joined([answer[key] for answer in answers]) for key in (answers[0] if answers else ())}

    return seeded


def _joined(parts: list[Any]) -> Any:
    """The rows of every part; None where the server had none of them."""
    return None if any(part is None for part in parts) else [row for part in parts for row in part]


@contextmanager
def meanwhile(holder: Any, name: str, value: Any) -> Iterator[None]:
    """Gives an object an attribute of its own in the block; afterwards what it had before is seen again."""
    own = vars(holder).get(name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(holder, name)
        else:
            setattr(holder, name, own)
