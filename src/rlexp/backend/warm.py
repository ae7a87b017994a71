"""Model and engine of one point of a sweep, for the next one: put back as it was loaded, its adapter drawn anew.

A warm point is its cold twin: the adapter's weights are drawn as the model that is loaded with the point's seed has
them, and everything else that a training leaves behind is undone (``restore``).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from rlexp.backend import model as models
from rlexp.backend import restore
from rlexp.backend.engine.engine import Engine
from rlexp.backend.patches import Patches
from rlexp.compose.run import Run
from rlexp.compose.schema import VllmMode
from rlexp.inputs.digest import json_sha256
from rlexp.inputs.find import Inputs


class Warm:
    """Keeps the model that was loaded last, and the vLLM that samples with it, as long as its process lives."""

    def __init__(self) -> None:
        self._kept: tuple[str, int, Any, Any] | None = None
        """Key, the sequences that its own engine decodes at once, model, tokenizer."""
        self._engine: tuple[str, Engine] | None = None
        self._loader: str | None = None
        self.lent = 0
        """How often a point found its model loaded."""

    def takes(self, loader: str) -> bool:
        """Whether this process can train a point of this loader: Unsloth rewrites TRL's classes for good."""
        self._loader = self._loader or loader
        return loader == self._loader

    def drop(self) -> None:
        """Lets go of what is kept."""
        self._kept, engine, self._engine = None, self._engine, None
        if engine:
            engine[1].close()

    @contextlib.contextmanager
    def engine(self, run: Run, inputs: Inputs, digest: dict[str, Any], patches: Patches) -> Iterator[Engine]:
        """The vLLM of a run; one in this process is kept for the next, unless the block ends with an error.

        Args:
            digest: the hashes of the inputs.
        """
        key = key_of(run, digest)
        if any(held and held[0] != key for held in (self._kept, self._engine)):
            self.drop()  # their memory is for this one
        kept, self._engine = self._engine, None
        engine = kept[1].lend(run, patches) if kept else Engine(run, inputs.model, patches)
        try:
            yield engine
        except BaseException:
            engine.close()
            raise
        if run.rollout.vllm_mode is VllmMode.colocate:
            self._engine = key, engine
        else:
            engine.close()

    @contextlib.contextmanager
    def begun(self, run: Run, inputs: Inputs, digest: dict[str, Any], patches: Patches) -> Iterator[tuple[Any, Any]]:
        """The model that training begins with, as ``models.load_begun`` gives it; the next point may have it when the
        block ends without an error.

        Args:
            digest: the hashes of the inputs.

        Yields:
            (model, tokenizer).
        """
        key = key_of(run, digest)
        kept, self._kept = self._kept, None
        if kept and kept[0] == key and kept[1] >= sequences(run):
            model, tokenizer = kept[2:]
            self.lent += 1
            redraw(model, run.seed)
            if inputs.start and inputs.start.adapter:
                models.put_adapter(model, inputs.start.adapter)
        else:
            kept = None  # its memory is for this one
            model, tokenizer = models.load_begun(run, inputs, patches)
        if run.model.full_finetuning:  # its weights are trained, and loaded again for the next
            yield model, tokenizer
            return
        with restore.restored_after(model, tokenizer):
            yield model, tokenizer
        self._kept = key, sequences(run) if kept is None else max(kept[1], sequences(run)), model, tokenizer


KEPT: ContextVar[Warm | None] = ContextVar("KEPT", default=None)
"""What this process keeps; None in one that runs a single command."""


def key_of(run: Run, digest: dict[str, Any]) -> str:
    """What two points must share to share a model: its options and files, and how it is held and sampled."""
    config = run.config()
    kept = {name: config[name] for name in ("model", "hardware", "rollout")}
    kept["rollout"] = {name: value for name, value in kept["rollout"].items() if name != "why"}  # words
    return json_sha256({**kept, "files": digest.get("model")})


def sequences(run: Run) -> int:
    """How many an engine that is loaded with the model (Unsloth's) decodes at once; it serves fewer too."""
    return run.geometry.sequences_per_step if run.rollout.fast_inference else 0


def redraw(model: Any, seed: int) -> None:
    """Draws the adapter anew, in place (an engine may share its tensors), as a model that is loaded with this seed has
    it.

    Source: ``LoraLayer.update_layer`` of PEFT 0.20: A and B are made as linear layers, which draws from the random
    state, then A is drawn by ``reset_lora_parameters`` and B is 0; on the CPU, before they are moved.
    """
    import torch
    from peft.tuners.lora import LoraLayer
    from transformers import set_seed

    set_seed(seed)
    with torch.no_grad():
        for layer in model.modules():
            if not isinstance(layer, LoraLayer):
                continue
            for name in layer.lora_A:
                first: Any = layer.lora_A[name]
                second: Any = layer.lora_B[name]
                torch.nn.Linear(first.in_features, first.out_features, bias=False)
                torch.nn.Linear(second.in_features, second.out_features, bias=False)
                drawn = torch.empty(first.weight.shape)
                torch.nn.init.kaiming_uniform_(drawn, a=math.sqrt(5))
                first.weight.copy_(drawn)
                second.weight.zero_()
