"""transformers as a runtime: merged weights, torchao's, an adapter on its base; the reference of all others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rlexp.backend.model import end_tokens
from rlexp.runtimes.protocol import Generated, Sampling, Spec
from rlexp.runtimes.tokenized import Tokenized


def import_libraries() -> None:
    """Imports what it takes."""
    import transformers  # noqa: F401


def load(spec: Spec) -> Transformers:
    """Loads a folder of transformers; with an adapter, PEFT puts it on, unmerged.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(spec.threads)
    tokenizer = AutoTokenizer.from_pretrained(spec.adapter or spec.path)
    dtype = getattr(torch, spec.dtype) if spec.dtype else "auto"
    held = _in_4_bits(dtype) if spec.load_in_4bit else {}
    model: Any = AutoModelForCausalLM.from_pretrained(spec.path, dtype=dtype, device_map=spec.device, **held)
    if spec.adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(spec.adapter), torch_dtype=dtype)
    if spec.rounding:
        _round(model, {"q8_0": 127, "q4_0": 7}[spec.rounding])
    return Transformers(spec, model.eval(), tokenizer)


def _in_4_bits(dtype: Any) -> dict[str, Any]:
    """What has transformers hold weights as Unsloth does. Source: ``BitsAndBytesConfig`` in unsloth/models/llama.py."""
    from transformers import BitsAndBytesConfig

    kinds: dict[str, Any] = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
    return {"quantization_config": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype, **kinds)}


def _round(model: Any, steps: int) -> None:
    """Rounds every matrix to so many steps on both sides of 0, in blocks of 32 along its rows; one of an adapter goes
    into its base before.

    Source: the formats Q8_0 and Q4_0 of llama.cpp, with the scale kept whole.
    """
    import torch

    if hasattr(model, "merge_adapter"):
        model.merge_adapter()
    with torch.no_grad():
        seen: set[int] = set()
        for name, weight in model.named_parameters():
            if weight.ndim != 2 or weight.shape[1] % 32 or "lora_" in name or weight.data_ptr() in seen:
                continue
            seen.add(weight.data_ptr())  # embeddings may be tied
            blocks = weight.view(weight.shape[0], -1, 32)
            scale = blocks.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / steps
            blocks.copy_((blocks / scale).round() * scale)


class Transformers(Tokenized):
    """A ``Runtime``: batches of one length of time, eager."""

    def __init__(self, spec: Spec, model: Any, tokenizer: Any) -> None:
        import transformers

        super().__init__(tokenizer, spec.template_kwargs)
        self._model = model
        self._read: list[int] = []
        """The tokens that ``_cache`` holds: sequences that begin alike (a system turn) are read from there on."""
        self._cache: Any = None
        tokenizer.padding_side = "left"
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token_id = tokenizer.eos_token_id
        self.ends = sorted(end_tokens(model, tokenizer))
        quantized = getattr(model.config, "quantization_config", None)
        how = type(quantized).__name__ if quantized else str(model.dtype).removeprefix("torch.")
        self.loaded = f"transformers {transformers.__version__}, {how}"

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, together: int = 1
    ) -> list[Generated]:
        import torch

        found: list[Generated] = []
        torch.manual_seed(seed)
        for start in range(0, len(prompts), together):
            found += self._batch(prompts[start : start + together], sampling)
        return found

    def _batch(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Generated]:
        import torch

        began, times = time.perf_counter(), []

        def tick(*_: Any, **__: Any) -> Any:
            times.append(time.perf_counter() - began)
            return torch.zeros(len(prompts), dtype=torch.bool, device=self._model.device)

        batch = self._tokenizer.pad({"input_ids": [list(one) for one in prompts]}, return_tensors="pt")
        chosen: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if sampling.temperature:
            chosen = {
                **{"do_sample": True, "temperature": sampling.temperature},
                **{"top_p": sampling.top_p, "top_k": sampling.top_k},
            }
        with torch.inference_mode():
            rows = self._model.generate(
                **batch.to(self._model.device),
                max_new_tokens=sampling.max_new_tokens,
                eos_token_id=self.ends,
                pad_token_id=self._tokenizer.pad_token_id,
                stopping_criteria=[tick],
                **chosen,
            )
        rows = rows[:, batch["input_ids"].shape[1] :]
        return [_until(row, self.ends, times) for row in rows.tolist()]

    def logprobs(self, ids: Sequence[int], begin: int) -> Any:
        import torch

        with torch.inference_mode():
            held = self._keep(ids, begin - 1)
            given = torch.tensor([list(ids[held:])], device=self._model.device)
            logits = self._model(given, past_key_values=self._cache, use_cache=True).logits[0, begin - 1 - held : -1]
            self._read = list(ids)
            return logits.float().log_softmax(dim=-1).cpu().numpy()

    def _keep(self, ids: Sequence[int], most: int) -> int:
        """Leaves in the cache what it shares with a sequence, at most so many tokens, and says how many these are."""
        from transformers.cache_utils import DynamicCache, DynamicLayer

        shared = next((at for at, (a, b) in enumerate(zip(self._read, ids, strict=False)) if a != b), len(self._read))
        shared = min(shared, most)
        plain = self._cache is not None and all(type(one) is DynamicLayer for one in self._cache.layers)
        if plain and shared:
            self._cache.crop(shared - len(self._read))
        else:  # nothing is shared, or a layer holds a window or a state
            self._cache, shared = DynamicCache(config=self._model.config), 0
        return shared


def _until(row: list[int], ends: Sequence[int], times: list[float]) -> Generated:
    place = next((number for number, token in enumerate(row) if token in ends), None)
    ids = row if place is None else row[: place + 1]
    return Generated(ids, place is not None, times[: len(ids)])
