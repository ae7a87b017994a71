"""llama.cpp as a runtime: GGUF files, on the CPU.

Its wheels are cyllama's (tokenizer, logits, sampling) and xllamacpp's (the template engine: ``llama_template``).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp.runtimes import llama_template
from rlexp.runtimes.protocol import Generated, Messages, Sampling, Spec

BATCH = 512
"""Tokens that are taken in at once, at most."""
PIECE = 512
"""Bytes of a token's text, at most on average."""
BAR = "|"


def import_libraries() -> None:
    """Imports what it takes. Threads that wait give up their core: else every other process makes llama.cpp crawl."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # a debugger's page of addresses, where it aborts
    import cyllama.llama.llama_cpp  # noqa: F401


def load(spec: Spec) -> LlamaCpp:
    """Loads a GGUF file.

    Raises:
        ValueError: it is none that llama.cpp reads.
    """
    from cyllama.llama import llama_cpp

    class Model(llama_cpp.LlamaModel):
        """With what ``LlamaContext.get_logits_ith`` of 0.2.18 looks for, and its own class has not."""

        @property
        def n_vocab(self) -> int:
            return self.get_vocab().n_vocab

    llama_cpp.disable_logging()
    model = Model(str(spec.path))
    params = llama_cpp.LlamaContextParams()
    params.n_seq_max = spec.together
    params.n_ctx = spec.context * spec.together
    params.n_batch = params.n_ubatch = BATCH
    params.n_threads = params.n_threads_batch = spec.threads
    return LlamaCpp(spec, model, llama_cpp.LlamaContext(model, params))


@dataclass
class _Request:
    """A prompt under way, in a sequence of the context."""

    number: int
    prompt: list[int]
    sampler: Any
    began: float
    taken: int = 0
    """Tokens of prompt and completion that the context holds."""
    ids: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class LlamaCpp:
    """A ``Runtime``: one context, in which each request has a sequence; what ends makes room for the next."""

    def __init__(self, spec: Spec, model: Any, context: Any) -> None:
        import cyllama

        self._spec = spec
        self._vocab = model.get_vocab()
        self._model = model
        self._context = context
        self._bar = self._vocab.tokenize(BAR, add_special=False, parse_special=False)
        self.ends = [one for one in range(self._vocab.n_vocab) if self._vocab.is_eog(one)]
        built = json.loads(Path(cyllama.__file__).with_name("build_config.json").read_text())["versions"]
        self.loaded = f"llama.cpp {built['llama_cpp_version']} (cyllama {cyllama.__version__}), {model.desc}"

    def render(self, dialogues: Sequence[Messages]) -> list[str]:
        return llama_template.render(self._spec.path, dialogues, self._spec.template_kwargs)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._vocab.tokenize(one, add_special=True, parse_special=True) for one in texts]

    def decode(self, ids: Sequence[int]) -> str:
        # cyllama strips the text, so that something stands on either side of it
        text = self._vocab.detokenize([*self._bar, *ids, *self._bar], text_len_max=PIECE * (len(ids) + 2))
        return text.removeprefix(BAR).removesuffix(BAR)

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, together: int = 1
    ) -> list[Generated]:
        """As ``Runtime.generate``; each request has a sampler of its own. A completion ends where the context does.

        Raises:
            ValueError: a prompt is empty, or leaves no room in the context.
        """
        for prompt in prompts:
            self._fits(len(prompt))
        self._context.kv_cache_clear()
        waiting = list(enumerate(prompts))[::-1]
        under_way: dict[int, _Request] = {}
        done: dict[int, Generated] = {}
        while waiting or under_way:
            for place in range(min(together, self._spec.together)):
                if waiting and place not in under_way:
                    number, prompt = waiting.pop()
                    sampler = _sampler(sampling, seed + number)
                    under_way[place] = _Request(number, list(prompt), sampler, time.perf_counter())
            for place in self._step(under_way):
                one = under_way[place]
                ended = one.ids[-1] in self.ends
                if ended or len(one.ids) == min(sampling.max_new_tokens, self._spec.context - len(one.prompt)):
                    done[one.number] = Generated(one.ids, ended, one.seconds)
                    del under_way[place]
                    self._context.memory_seq_rm(place, -1, -1)
        return [done[number] for number in range(len(prompts))]

    def _step(self, under_way: dict[int, _Request]) -> list[int]:
        """Takes in one batch; says which requests have got a token by it."""
        rows: list[tuple[int, int, int, bool]] = []
        ready = {}
        for place, one in under_way.items():
            new = (one.prompt[one.taken :] or one.ids[-1:])[: BATCH - len(rows)]
            last = one.taken + len(new) == len(one.prompt) + len(one.ids)
            rows += [(token, one.taken + at, place, last and at == len(new) - 1) for at, token in enumerate(new)]
            one.taken += len(new)
            if new and last:
                ready[place] = len(rows) - 1
        self._take_in(rows)
        for place, row in ready.items():
            one = under_way[place]
            one.ids.append(one.sampler.sample(self._context, row))
            one.seconds.append(time.perf_counter() - one.began)
        return list(ready)

    def _take_in(self, rows: Sequence[tuple[int, int, int, bool]]) -> None:
        """Decodes tokens: id, position, sequence, whether what follows it is asked for."""
        from cyllama.llama.llama_cpp import LlamaBatch

        batch = LlamaBatch(n_tokens=len(rows), embd=0, n_seq_max=self._spec.together)
        for token, position, place, wanted in rows:
            batch.add(token, position, [place], wanted)
        self._context.decode(batch)

    def logprobs(self, ids: Sequence[int], begin: int) -> Any:
        import numpy
        from scipy.special import log_softmax

        self._fits(len(ids) - 1)
        self._context.kv_cache_clear()
        found = []
        for start in range(0, len(ids) - 1, BATCH):
            part = range(start, min(start + BATCH, len(ids) - 1))
            self._take_in([(ids[at], at, 0, at >= begin - 1) for at in part])
            wanted = [at - start for at in part if at >= begin - 1]
            found += [numpy.asarray(self._context.get_logits_ith(row), numpy.float32) for row in wanted]
        return log_softmax(numpy.stack(found), axis=-1)

    def _fits(self, tokens: int) -> None:
        if not 0 < tokens < self._spec.context:
            what = f"{tokens} tokens" if tokens else "an empty prompt"
            raise ValueError(f"{what}, and the context is of {self._spec.context}")


def _sampler(sampling: Sampling, seed: int) -> Any:
    """A chain in transformers' order, temperature first: llama.cpp's own command line takes it last."""
    from cyllama.llama.llama_cpp import LlamaSampler

    chain = LlamaSampler()
    if not sampling.temperature:
        chain.add_greedy()
        return chain
    chain.add_temp(sampling.temperature)
    if sampling.top_k:
        chain.add_top_k(sampling.top_k)
    if sampling.top_p < 1:
        chain.add_top_p(sampling.top_p, 1)
    chain.add_dist(seed % 2**32)
    return chain
