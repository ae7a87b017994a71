"""Puts a loaded model back as it was, so that a trainer built after another one learns what it would have alone."""

from __future__ import annotations

import contextlib
import copy
import gc
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlexp.backend.model import put_adapter
from rlexp.backend.patches import base_reference

TOKENIZER_STATE = ("padding_side", "truncation_side", "pad_token", "eos_token", "chat_template", "model_max_length")
"""The attributes that trainers set on a tokenizer."""


@contextlib.contextmanager
def restored_after(model: Any, tokenizer: Any) -> Iterator[dict[str, Any]]:
    """Lets trainers work on a model and a tokenizer, then undoes what they did.

    Undone: trainable weights (in place, an engine may share them) and what is trainable, TRL's copy of the adapter,
    gradients, configs, the mode of every module, wrapped forward functions, an engine's cache of prompts,
    TOKENIZER_STATE, and the random states of python, numpy, torch and CUDA. Nothing is undone after an error: the model
    is not used again, and a device that stopped working could not be written to.

    Yields:
        The trainable weights as they were, by name, on the CPU.
    """
    import torch

    weights = trainable(model)
    modes = {module: module.training for module in model.modules()}
    forwards = {module: vars(module)["forward"] for module in model.modules() if "forward" in vars(module)}
    configs = [(config, _plain(vars(config))) for config in (model.config, model.generation_config)]
    tokenizer_state = {name: getattr(tokenizer, name) for name in TOKENIZER_STATE}
    with random_states():
        yield weights
    if base_reference.COPY in getattr(model, "peft_config", {}):  # the next trainer makes its own
        model.delete_adapter(base_reference.COPY)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.requires_grad_(name in weights)
            weight.grad = None
            if name in weights:
                weight.copy_(weights[name])
    for module in model.modules():
        module.training = modes.get(module, module.training)
        if module in forwards:
            module.forward = forwards[module]
        else:
            vars(module).pop("forward", None)
    for config, before in configs:
        vars(config).update(before)
    for name, value in tokenizer_state.items():
        setattr(tokenizer, name, value)
    engine = getattr(model, "vllm_engine", None)
    if engine is not None:
        engine.reset_prefix_cache()
    gc.unfreeze()  # the trainers that are to go
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def trainable(model: Any) -> dict[str, Any]:
    """A copy of the trainable weights, by name, on the CPU."""
    return {name: w.detach().to("cpu", copy=True) for name, w in model.named_parameters() if w.requires_grad}


@contextlib.contextmanager
def with_weights(model: Any, weights: dict[str, Any]) -> Iterator[None]:
    """Puts these weights, by name, in the place of the model's own while the block lasts."""
    own = {name: w.detach().to("cpu", copy=True) for name, w in model.named_parameters() if name in weights}
    _put(model, weights)
    try:
        yield
    finally:
        _put(model, own)


def _put(model: Any, weights: dict[str, Any]) -> None:
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in weights:
                weight.copy_(weights[name])


@contextlib.contextmanager
def with_checkpoint(trainer: Any, folder: Path) -> Iterator[None]:
    """Puts the trained weights of a whole checkpoint in the place of the trainer's own while the block lasts.

    Raises:
        RunError: it is an adapter of other layers.
    """
    weights = trainable(trainer.model)
    try:
        if hasattr(trainer.model, "peft_config"):
            put_adapter(trainer.model, folder)
        else:
            trainer._load_from_checkpoint(str(folder), trainer.model)
        yield
    finally:
        _put(trainer.model, weights)


@contextlib.contextmanager
def random_states() -> Iterator[None]:
    """Puts the random states of python, numpy, torch and CUDA back as they were, unless an error ends it."""
    import numpy
    import torch

    states = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    on_devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    yield
    random.setstate(states[0])
    numpy.random.set_state(states[1])
    torch.set_rng_state(states[2])
    if on_devices:
        torch.cuda.set_rng_state_all(on_devices)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """A copy of a config's values without the configs inside it, which modules hold on to."""
    kinds = (bool, int, float, str, list, tuple, dict, type(None))
    return {name: copy.deepcopy(value) for name, value in values.items() if isinstance(value, kinds)}


def weight_change(model: Any, weights: dict[str, Any]) -> tuple[float, bool]:
    """The largest absolute change of the trainable weights against those given, and whether all are finite."""
    import torch

    most, finite = 0.0, True
    for name, weight in model.named_parameters():
        if name in weights:
            now = weight.detach().float().cpu()
            finite = finite and bool(torch.isfinite(now).all())
            most = max(most, float((now - weights[name].float()).abs().max()))
    return most, finite
