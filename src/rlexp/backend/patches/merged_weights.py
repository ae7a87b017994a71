"""The adapter in the weights that vLLM samples with: base + scale * B A, written before every generation.

TRL merges the adapter into the trained model, copies every weight to the engine, and subtracts it again, which moves a
bfloat16 base a little at every step. Here the base is only read: the sum is made in float32, rounded once, and written
where the engine keeps the weight. Only adapted layers are written; the others are the same file on both sides.

Source: LoRA, https://arxiv.org/abs/2106.09685; ``packed_modules_mapping`` of vLLM's model classes for the fused layers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed, skipped

if TYPE_CHECKING:
    from rlexp.backend.engine.engine import Engine
    from rlexp.backend.trainers.protocol import Generation, OnlineTrainer

PATCH = Patch(
    name="merged_weights",
    target="sync_weights and _iter_named_params of trl.generation.vllm_generation.VLLMGeneration; the parameters of "
    "vLLM's model",
    reason="TRL merges the adapter into the trained model and subtracts it again, which moves a bfloat16 base at every "
    "step, and copies every weight.",
    gain="weight sync 0.155 -> 0.050 s of a step at 4B on an H100 (perf/results/2026-11-25_4b_h100.md)",
    upstream="https://github.com/huggingface/trl/issues/6688",
    made_for={"trl": "1.15", "vllm": "0.26", "peft": "0.21"},
    expires="when TRL syncs an adapter without writing to the trained model",
)


def apply(trainer: OnlineTrainer, generation: Generation, engine: Engine) -> Outcome:
    """Replaces TRL's weight sync of one trainer, in the process or to a server.

    Args:
        generation: ``trainer.vllm_generation``.
        engine: keeps where the weights lie for every trainer of the run.
    """
    if not hasattr(trainer.model, "peft_config"):
        return not_needed("every weight is trained")
    if generation.mode == "colocate" and getattr(generation.llm, "shared_weights", False):
        return not_needed("Unsloth's engine shares the weights, and folds the adapter in itself")
    try:
        if generation.mode == "colocate":
            _write_in_place(trainer, generation, engine)
        else:
            _send_merged(trainer, generation)
    except ValueError as fault:
        logging.getLogger(__name__).warning("TRL's own weight sync is used: %s", fault)
        return skipped(str(fault))
    return APPLIED


def _write_in_place(trainer: OnlineTrainer, generation: Generation, engine: Engine) -> None:
    if engine.weights is None:
        # ``LLM.apply_model`` may hand out the model without what wraps it, so TRL's own chain is used.
        samples = generation.llm.llm_engine.model_executor.driver_worker.model_runner.model
        engine.weights = InPlace(trainer.model, samples)

    def sync_weights() -> None:
        engine.weights.write()
        generation.llm.reset_prefix_cache()

    generation.sync_weights = sync_weights


def _send_merged(trainer: OnlineTrainer, generation: Generation) -> None:
    """TRL asks this once for names and shapes, then whenever it sends the weights to the server."""
    adapted(trainer.model)  # raises before anything is replaced
    generation._iter_named_params = lambda: weights(trainer.model)


@dataclass(frozen=True)
class Adapted:
    """One linear layer with an adapter."""

    name: str
    """The name of the layer in transformers: ``model.layers.0.self_attn.q_proj``."""
    layer: Any
    """``peft.tuners.lora.Linear``."""

    def total(self) -> Any:
        """The layer's weight with its active adapters, [out, in], float32."""
        import torch

        total = self.layer.base_layer.weight.to(torch.float32, copy=True)
        for adapter in self.layer.active_adapters:
            if adapter in self.layer.lora_A:
                up, down = self.layer.lora_B[adapter].weight, self.layer.lora_A[adapter].weight
                total.addmm_(up.float(), down.float(), alpha=self.layer.scaling[adapter])
        return total

    def merged(self) -> Any:
        """The same sum as ``total``, in the base's dtype."""
        return self.total().to(self.layer.base_layer.weight.dtype)


def adapted(model: Any) -> list[Adapted]:
    """The adapted layers of a PEFT model.

    Raises:
        ValueError: an adapter is no plain LoRA on a linear layer, so there is no such sum.
    """
    from peft.tuners.lora import Linear
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = []
    for name, module in model.named_modules():
        if not isinstance(module, BaseTunerLayer):
            continue
        if type(module) is not Linear or module.fan_in_fan_out or module.lora_variant or any(module.lora_bias.values()):
            raise ValueError(f"{name} is no plain LoRA on a linear layer")
        layers.append(Adapted(name.removeprefix("base_model.model."), module))
    return layers


def weights(model: Any) -> Iterator[tuple[str, Any]]:
    """(transformers' name, tensor) of every weight, the adapted ones merged: what an engine elsewhere is sent.

    All of them: vLLM loads a fused layer whole, and a server of one's own may hold what another run left in it. Each is
    merged when it is asked for, on the stream of whoever asks.

    Raises:
        ValueError: as ``adapted``.
    """
    import torch

    layers = adapted(model)
    merged = {id(item.layer.base_layer.weight): item for item in layers}
    base = {id(weight) for item in layers for weight in item.layer.base_layer.parameters()}
    adapters = {id(weight) for item in layers for weight in item.layer.parameters()} - base
    for name, weight in model.named_parameters():
        if id(weight) in adapters:
            continue
        with torch.no_grad():
            value = merged[id(weight)].merged() if id(weight) in merged else weight.data
        yield name.removeprefix("base_model.model.").replace(".base_layer", ""), value


class InPlace:
    """Writes the merged weights into an engine of the same process.

    Args:
        model: the PEFT model that is trained.
        engine: vLLM's model (``torch.nn.Module``), unquantised, on one device, loaded from the same files.

    Raises:
        ValueError: a layer of the engine does not hold what the trained model's base holds.
    """

    def __init__(self, model: Any, engine: Any) -> None:
        import torch

        parameters = dict(engine.named_parameters())
        packed = getattr(engine, "packed_modules_mapping", {})
        layers = adapted(model)
        sizes = {item.name: item.layer.base_layer.weight.shape[0] for item in layers}
        modules = dict(model.named_modules())
        self.pairs: list[tuple[Adapted, Any]] = []
        for item in layers:
            parent, _, leaf = item.name.rpartition(".")
            fused = next((name for name, parts in packed.items() if leaf in parts), leaf)
            target = parameters.get(f"{parent}.{fused}.weight")
            if target is None:
                raise ValueError(f"the engine has no layer {parent}.{fused}")
            start = 0
            for part in packed.get(fused, [leaf]):
                if part == leaf:
                    break
                name = f"{parent}.{part}"
                start += sizes.get(name) or modules[f"base_model.model.{name}"].weight.shape[0]
            view = target.data[start : start + sizes[item.name]]
            if view.shape != item.layer.base_layer.weight.shape or not torch.equal(view, item.layer.base_layer.weight):
                raise ValueError(f"the engine's {item.name} is not the trained model's")
            self.pairs.append((item, view))

    def write(self) -> None:
        """Writes all of them."""
        import torch

        with torch.no_grad():
            for item, view in self.pairs:
                view.copy_(item.total())  # rounded here
