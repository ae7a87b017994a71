"""What a trainer of TRL holds between two steps and no checkpoint of transformers keeps, and how it is put back.

Lost without it (tried with TRL 1.15, transformers 5.17): the micro-batches of a generation that is trained on more than
once, the count that says when the next is due, the tokens that were trained on, what is gathered between two log
entries, and the order of rows from the second epoch on. An adapter is loaded into the model as it is: transformers
would look only into the folder of TRL's reference copy, where there is one, and train a fresh policy.

Source: ``trl.GRPOTrainer._prepare_inputs``, ``trl.trainer.utils.RepeatSampler``,
``transformers.Trainer._inner_training_loop`` and ``_load_from_checkpoint``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

KEPT = ("_step", "_total_train_tokens", "_tr_loss", "_total_loss_scalar", "_globalstep_last_logged")
GATHERED = ("_metrics", "_stored_metrics")
"""``train`` or ``eval`` -> name -> values since the last log entry; the second is ORPO's."""
PHASE = ("_step", "_buffered_inputs")
"""The place in a generation: it means nothing to a trainer that generates by another GEOMETRY."""
GEOMETRY = (
    *("per_device_train_batch_size", "gradient_accumulation_steps"),
    *("steps_per_generation", "num_iterations", "num_generations"),
)
ADAPTER = "default"
"""PEFT's name of the adapter that is trained; its files lie in a checkpoint's folder, those of others below it."""


def state(trainer: Any) -> dict[str, Any]:
    """Tensors, numbers and texts, for ``torch.save``; read with ``weights_only``."""
    args = trainer.args
    held = {name: getattr(trainer, name) for name in KEPT if hasattr(trainer, name)}
    if held.get("_step", 0) % (generation(args) or 1):
        held["_buffered_inputs"] = [dict(batch) for batch in trainer._buffered_inputs]
    gathered = {
        name: {mode: {key: list(values) for key, values in of.items()} for mode, of in getattr(trainer, name).items()}
        for name in GATHERED
        if hasattr(trainer, name)
    }
    arguments = {name: getattr(args, name) for name in GEOMETRY if hasattr(args, name)}
    return {"held": held, "gathered": gathered, "arguments": {**arguments, "seed": args.seed, "optim": str(args.optim)}}


def require(state: dict[str, Any]) -> None:
    """Checks whether ``state`` could be one: it may come from a stranger.

    Raises:
        ValueError: it holds other names, or is made otherwise.
    """
    held, gathered, arguments = (state.get(name) for name in ("held", "gathered", "arguments"))
    if not (isinstance(held, dict) and isinstance(gathered, dict) and isinstance(arguments, dict)):
        raise ValueError("it is made otherwise")
    if not (
        held.keys() <= {*KEPT, *PHASE} and gathered.keys() <= {*GATHERED} and {"seed", "optim"} <= arguments.keys()
    ):
        raise ValueError("it holds other names")
    values = [values for modes in gathered.values() for of in modes.values() for values in of.values()]
    if not all(isinstance(value, list) for value in values):
        raise ValueError("it gathers no lists")


def restore(trainer: Any, state: dict[str, Any]) -> None:
    """Puts ``state`` back; transformers has set its own to the beginning before (``on_train_begin``)."""
    own = {name: getattr(trainer.args, name) for name in GEOMETRY if hasattr(trainer.args, name)}
    same = all(state["arguments"].get(name) == value for name, value in own.items())
    held = {name: value for name, value in state["held"].items() if same or name not in PHASE}
    vars(trainer).update(held)
    for name, modes in state["gathered"].items():
        for mode, of in modes.items() if hasattr(trainer, name) else ():
            for key, values in of.items():
                getattr(trainer, name)[mode][key] = list(values)


def of_any_number(states: list[dict[str, Any]]) -> dict[str, Any]:
    """What a trainer of another number of devices goes on with: that of the first, since what is logged was gathered of
    all, but for the loss since the last log entry, which is the mean of their own.

    Args:
        states: those of all devices that wrote the checkpoint.
    """
    first = states[0]
    held = {name: value for name, value in first["held"].items() if name not in PHASE}
    if "_tr_loss" in held:
        held["_tr_loss"] = sum(one["held"]["_tr_loss"] for one in states) / len(states)
    return {**first, "held": held}


def with_new_random_states(trainer: Any, step: int) -> None:
    """Has the random states of python, numpy, torch and CUDA begin anew, from the seed, the step and this process,
    where those of a checkpoint are of another number of processes."""

    def begun(folder: str | None) -> None:
        from transformers import set_seed

        if folder is not None:
            args = trainer.args
            text = f"{args.seed} {step} {args.process_index} of {args.world_size}"
            set_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]))

    trainer._load_rng_state = begun


def generation(args: Any) -> int | None:
    """Micro-batches from one generation to the next; None for a method that does not sample."""
    steps = getattr(args, "steps_per_generation", None)
    return steps * args.num_iterations if steps else None


def resumable(trainer: Any) -> None:
    """Has the rows of every epoch drawn as if the epochs before it had been trained, and adapters loaded by name."""
    if hasattr(trainer, "num_iterations"):
        from trl.trainer.utils import RepeatSampler

        made = trainer._get_train_sampler

        def sampler(*args: Any) -> Any:
            drawn = made(*args)
            if type(drawn) is RepeatSampler:
                drawn.__class__ = _by_epoch()
            return drawn

        trainer._get_train_sampler = sampler
    if hasattr(trainer.model, "peft_config"):
        trainer._load_from_checkpoint = lambda folder, model=None: _load_adapters(trainer.model, Path(folder))


def ends_at_once(trainer: Any, folder: Path) -> None:
    """Has a training whose steps are all done train no more: transformers would take one step before it looks."""
    trainer._run_epoch = lambda **_: trainer._load_rng_state(str(folder))


def with_own_settings(trainer: Any, state: dict[str, Any]) -> None:
    """Has a fork go on with its own learning rate, weight decay and so on: a checkpoint holds those of its run, and
    loading it would silently bring them back. Another seed draws otherwise; another optimizer begins anew.

    Args:
        state: that of the checkpoint.
    """
    load, load_random = trainer._load_optimizer_and_scheduler, trainer._load_rng_state
    before = state["arguments"]

    def loaded(folder: str) -> None:
        optimizer, scheduler = trainer.optimizer, getattr(trainer.lr_scheduler, "scheduler", trainer.lr_scheduler)
        own = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        rates = list(scheduler.base_lrs)
        if before["optim"] == str(trainer.args.optim):
            load(folder)
        else:
            scheduler.last_epoch = trainer.state.global_step
        scheduler.base_lrs = rates
        if hasattr(scheduler, "lr_lambdas"):
            rates = [rate * by(scheduler.last_epoch) for rate, by in zip(rates, scheduler.lr_lambdas, strict=True)]
        for group, options, rate in zip(optimizer.param_groups, own, rates, strict=True):
            group |= options | {"lr": rate}
        scheduler._last_lr = rates

    def loaded_random(folder: str | None) -> None:
        from transformers import set_seed

        load_random(folder)
        if before["seed"] != trainer.args.seed:
            set_seed(trainer.args.seed)

    trainer._load_optimizer_and_scheduler, trainer._load_rng_state = loaded, loaded_random


def _by_epoch() -> Any:
    """``trl.trainer.utils.RepeatSampler`` with ``set_epoch``, which transformers calls where there is one: the
    permutation of an epoch is the one that an uninterrupted training would have drawn."""
    import torch
    from trl.trainer.utils import RepeatSampler

    class ByEpoch(RepeatSampler):
        def set_epoch(self, epoch: int) -> None:
            if self.shuffle and self.seed is not None:
                self.generator.manual_seed(self.seed)
                for _ in range(epoch):
                    torch.randperm(self.num_samples, generator=self.generator)

    return ByEpoch


def _load_adapters(model: Any, folder: Path) -> None:
    from peft import load_peft_weights, set_peft_model_state_dict

    for name in model.peft_config:
        place = folder if name == ADAPTER else folder / name
        if name != ADAPTER and not place.is_dir():
            continue
        weights = load_peft_weights(str(place), device=str(model.device))
        keys: Any = set_peft_model_state_dict(model, weights, adapter_name=name)
        fresh = [key for key in keys.missing_keys if f".{name}." in key and "lora_" in key]
        if keys.unexpected_keys or fresh:
            raise ValueError(f"the adapter of {place} does not fit: {(keys.unexpected_keys or fresh)[0]}")
