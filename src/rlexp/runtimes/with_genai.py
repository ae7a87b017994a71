"""onnxruntime-genai as a runtime: the graph, its tokenizer and its template engine, on a CPU.

Source: onnxruntime-genai 0.18 (``Config.overlay``, ``Generator.get_output``). Shorter rows of a batch are padded on
the right: on the left, attention on a CPU takes the padding for the prompt, and answers something else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from rlexp.backend import telemetry
from rlexp.runtimes.protocol import Generated, Messages, Sampling, Spec

TEMPLATE = "chat_template.jinja"


def import_libraries() -> None:
    """Imports what it takes."""
    telemetry.switch_off()
    import onnxruntime_genai  # noqa: F401


def load(spec: Spec) -> Genai:
    """Loads a folder with genai_config.json.

    Raises:
        RuntimeError: it cannot be read.
    """
    import onnxruntime_genai

    config = onnxruntime_genai.Config(str(spec.path))
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": spec.threads}}}}))
    return Genai(spec, onnxruntime_genai.Model(config))


class Genai:
    """A ``Runtime``: batches of one length of time."""

    def __init__(self, spec: Spec, model: Any) -> None:
        import onnxruntime_genai

        self._spec = spec
        self._model = model
        self._tokenizer = onnxruntime_genai.Tokenizer(model)
        said = json.loads((spec.path / "genai_config.json").read_text())["model"]
        self._pad = said["pad_token_id"]
        self._context = min(spec.context, said["context_length"])
        self.ends = sorted(int(one) for one in self._tokenizer.eos_token_ids)
        self.loaded = f"onnxruntime-genai {onnxruntime_genai.__version__}, {model.type} on {model.device_type}"

    def render(self, dialogues: Sequence[Messages]) -> list[str]:
        """As ``Runtime.render``; the engine takes no arguments of a template, so they are set at its head."""
        chosen = {}
        if self._spec.template_kwargs:
            given = self._spec.template_kwargs.items()
            sets = "".join(f"{{%- set {name} = {json.dumps(value)} -%}}" for name, value in given)
            chosen = {"template_str": sets + (self._spec.path / TEMPLATE).read_text()}
        return [
            self._tokenizer.apply_chat_template(json.dumps(one), add_generation_prompt=True, **chosen)
            for one in dialogues
        ]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._tokenizer.encode(text).tolist() for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids))

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, together: int = 1
    ) -> list[Generated]:
        """As ``Runtime.generate``; prompts that end with the token that pads are not put together."""
        if any(one[-1] == self._pad for one in prompts):
            together = 1
        starts = range(0, len(prompts), together)
        return [one for at in starts for one in self._batch(prompts[at : at + together], sampling, (seed + at) % 2**31)]

    def _batch(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int) -> list[Generated]:
        import numpy

        width = max(len(one) for one in prompts)
        fed = numpy.full((len(prompts), width), self._pad, dtype=numpy.int32)
        for row, one in zip(fed, prompts, strict=True):
            row[: len(one)] = one
        chosen: dict[str, Any] = {"do_sample": False}
        if sampling.temperature:
            chosen = {
                **{"do_sample": True, "temperature": sampling.temperature, "random_seed": seed},
                **{"top_p": sampling.top_p, "top_k": sampling.top_k},
            }
        longest = min(width + sampling.max_new_tokens, self._context)
        began = time.perf_counter()
        times: list[float] = []
        steps: list[list[int]] = []
        generator = self._generator(longest, len(prompts), **chosen)
        generator.append_tokens(fed)
        while len(steps) < sampling.max_new_tokens and not generator.is_done():
            generator.generate_next_token()
            steps.append(generator.get_next_tokens().tolist())
            times.append(time.perf_counter() - began)
        return [self._until(row, times) for row in zip(*steps, strict=True)]

    def _generator(self, longest: int, rows: int, **chosen: Any) -> Any:
        import onnxruntime_genai

        given = onnxruntime_genai.GeneratorParams(self._model)
        given.set_search_options(max_length=longest, batch_size=rows, **chosen)
        return onnxruntime_genai.Generator(self._model, given)

    def _until(self, row: Sequence[int], times: list[float]) -> Generated:
        place = next((number for number, token in enumerate(row) if token in self.ends), None)
        ids = list(row) if place is None else list(row[: place + 1])
        return Generated(ids, place is not None, times[: len(ids)])

    def logprobs(self, ids: Sequence[int], begin: int) -> Any:
        import numpy
        from scipy.special import log_softmax

        generator = self._generator(len(ids) + 1, 1, do_sample=False)
        generator.append_tokens(numpy.array(ids[:-1], dtype=numpy.int32))
        logits = generator.get_output("logits")[0, begin - 1 :]
        return log_softmax(logits.astype(numpy.float32), axis=-1)
