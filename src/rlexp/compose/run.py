"""From a composed Hydra tree to one typed, checked ``Run``. Pure: reads no file and imports no torch."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from rlexp.compose import (
    compiling,
    devices,
    environment,
    fit,
    geometry,
    identity,
    largest,
    memory,
    needed_patches,
    ranges,
    rollout,
    validate,
    whole_step,
)
from rlexp.compose.geometry import Geometry
from rlexp.compose.methods import METHODS, Method, schema
from rlexp.compose.places import NOWHERE, Places
from rlexp.compose.schema import (
    Dataset,
    Device,
    Hardware,
    Health,
    HeldOut,
    Model,
    Preflight,
    Reward,
    Rollout,
    RunSchema,
    Size,
    Tracking,
)
from rlexp.compose.validate_data import difficulty_of
from rlexp.compose.workload import Workload
from rlexp.errors import RunError, nearest


@dataclass(frozen=True)
class Run:
    """One experiment, composed and checked: what everything downstream reads."""

    seed: int
    model: Model
    method: Method
    arguments: dict[str, Any]
    """TRL's arguments that the experiment owns, every one of them, in TRL's names."""
    prompts_per_step: int
    off_policy_steps: int
    """Updates between the policy that samples a step's completions and the one that learns from them: 0 or 1."""
    shuffle_rows: bool
    """The rows are shuffled by the seed before a trainer that takes them in their order: kto."""
    dataset: Dataset
    reward: Reward
    hardware: Hardware
    rollout: Rollout
    tracking: Tracking
    held_out: HeldOut
    preflight: Preflight
    health: Health
    geometry: Geometry
    max_minutes: float | None
    fork: str | None
    fork_sha256: str | None
    places: Places = field(compare=False)
    """Where the files that it names are looked up on this machine: no part of its config."""

    @property
    def workload(self) -> Workload | None:
        """What decides its memory on one device; None for a model of unknown size."""
        if self.model.size is None:
            return None
        share = self.geometry.sequences_per_step // self.geometry.devices
        return Workload(self.model.size, self.model, self.hardware, self.rollout, self.method, self.arguments, share)

    @property
    def memory(self) -> memory.Estimate | None:
        """The memory that it takes on one device, by estimate; None for a model of unknown size."""
        recomputed, job = bool(self.hardware.gradient_checkpointing), self.workload
        return memory.estimate(job, self.geometry.per_device_train_batch_size, recomputed) if job else None

    def at(self, root: Path) -> Run:
        """The run whose files are looked up in this project folder."""
        return self if self.places.root == root else dataclasses.replace(self, places=Places.of(root))

    @property
    def chat_template_kwargs(self) -> dict[str, Any]:
        """The arguments that the chat template is given beside the messages."""
        return dict(self.arguments.get("chat_template_kwargs") or {})

    @property
    def num_generations(self) -> int:
        """Completions a prompt; 1 where the method samples none."""
        return self.arguments.get("num_generations", 1) if self.method.online else 1

    def config(self) -> dict[str, Any]:
        """The composed tree as plain JSON values, in canonical order."""
        tree = {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "places"}
        for name in ("arguments", "prompts_per_step", "off_policy_steps", "shuffle_rows", "geometry"):
            del tree[name]
        arguments = {name: _plain(value) for name, value in sorted(self.arguments.items())}
        own = {"name": self.method.name, "prompts_per_step": self.prompts_per_step}
        if self.method.online:
            own["off_policy_steps"] = self.off_policy_steps
        if self.method.fixed_order:
            own["shuffle_rows"] = self.shuffle_rows
        tree["method"] = {**own, **arguments}
        return tree

    def experiment(self) -> dict[str, Any]:
        """The part of the tree that identifies the optimisation problem (``identity.experiment``)."""
        return identity.experiment(self.config())


def resolve(cfg: DictConfig, size: Size | None = None, places: Places = NOWHERE) -> Run:
    """Checks a composed tree against the schemas again (``+key=`` slips past Hydra's), puts numbers where the hardware
    was left open (``compose.memory``) and derives the geometry.

    Args:
        cfg: the tree Hydra composed, with or without its ``hydra`` node.
        size: of the model's folder, where there is one (``compose.model_size``); goes before what the tree says.
        places: where what it names is looked up.

    Raises:
        RunError: a value is out of range, a choice unknown, or the geometry cannot be derived; a secret is typed out.
        omegaconf.errors.OmegaConfBaseException: a key or type the schemas do not know (``explain`` words it).
    """
    name = OmegaConf.select(cfg, "method.name")
    if name not in METHODS:
        guess = nearest(str(name), METHODS)
        raise RunError(
            f"there is no method named {name!r}",
            where="method.name",
            hint=f"leave out method.name, and type method={guess or 'grpo'}",
        )
    tree = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(tree, dict)
    tree.pop("hydra", None)
    tree = environment.kept(tree)
    merged = OmegaConf.merge(_typed(name), tree)
    # Terms in the order of their names: the order in which they were composed says nothing about the run.
    merged.reward.terms = {term: merged.reward.terms[term] for term in sorted(merged.reward.terms)}
    groups: Any = OmegaConf.to_object(merged)
    method = METHODS[name]
    arguments = {f.name: getattr(groups.method, f.name) for f in dataclasses.fields(groups.method)}
    del arguments["name"]
    prompts_per_step = arguments.pop("prompts_per_step")
    off_policy_steps = arguments.pop("off_policy_steps", 0)
    shuffle_rows = arguments.pop("shuffle_rows", False)
    validate.arguments_of(method, arguments, prompts_per_step)
    validate.off_policy_of(off_policy_steps, arguments)
    difficulty_of(groups.dataset.difficulty)
    ranges.require_fields(groups)  # before anything is derived from them
    groups.model.size = size or groups.model.size
    num_generations = arguments["num_generations"] if method.online else 1
    sequences = -(-prompts_per_step * num_generations // max(groups.hardware.devices, 1))
    if groups.rollout.name == "auto":
        job = _job(groups, method, arguments, sequences)
        groups.rollout = rollout.choose(groups, job, ahead=off_policy_steps > 0)
    validate.groups_of(groups, method, arguments)
    needed_patches.check(groups, method, arguments, off_policy_steps)
    groups.hardware, groups.rollout = _settled(_job(groups, method, arguments, sequences))
    groups.rollout = compiling.settled(groups.rollout, arguments)
    derived = geometry.derive(
        prompts_per_step, num_generations, groups.hardware.devices, groups.hardware.sequences_per_device
    )

    def offered() -> tuple[str, ...] | None:
        job = _job(groups, method, arguments, derived.sequences_per_step // derived.devices)
        if job.size is None or groups.hardware.device is Device.cpu:
            return None
        return largest.find(job, prompts_per_step, num_generations, derived.devices).overrides

    whole_step.check(arguments, derived, prompts_per_step, offered)
    devices.check(derived.devices, off_policy_steps, groups.rollout)
    needed_patches.one_pass(groups.rollout, method, derived, offered)
    fields = {
        f.name: getattr(groups, f.name)
        for f in dataclasses.fields(RunSchema)
        if f.name not in ("method", "invocation", "cache")
    }
    own = {
        "prompts_per_step": prompts_per_step,
        "off_policy_steps": off_policy_steps,
        "shuffle_rows": shuffle_rows,
    }
    return Run(method=method, arguments=arguments, geometry=derived, places=places, **own, **fields)


@functools.cache
def _typed(method: str) -> DictConfig:
    """The types of a whole tree; merged into, never changed."""
    typed = OmegaConf.structured(RunSchema)
    with open_dict(typed):
        typed.method = OmegaConf.structured(schema(method))
    return typed


def _job(groups: Any, method: Method, arguments: dict[str, Any], sequences: int) -> Workload:
    return Workload(groups.model.size, groups.model, groups.hardware, groups.rollout, method, arguments, sequences)


def _settled(job: Workload) -> tuple[Hardware, Rollout]:
    return fit.resolve_unknown_size(job.hardware, job.rollout) if job.size is None else fit.resolve_hardware(job)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
