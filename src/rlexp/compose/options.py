"""Config options that no file holds: ``reward=a+b`` (dataset, tracking), ``hardware=auto``, ids, and the typed schemas.

A Hydra ``ConfigSource`` that answers a defaults list over the project's own options, so that the parts of ``a+b``
stay ordinary YAML files and Hydra keeps composing them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf

from rlexp import project
from rlexp.compose import dataset_id, model_id, typed_ids
from rlexp.compose.methods import METHODS, schema
from rlexp.compose.places import Places
from rlexp.compose.schema import RunSchema
from rlexp.errors import RunError, nearest
from rlexp.nvidia import gpus

SUMMED_GROUPS = ("reward", "dataset", "tracking")
"""Groups whose options add up with ``+``."""

GPUS = (
    (r"\bH100\b", "h100"),
    (r"\bH200\b", "h200"),
    (r"\bA100\b.*\b80GB\b", "a100_80gb"),
    (r"\bRTX 4090\b(?!.*Laptop)", "rtx4090_24gb"),
    (r"\bL4\b", "l4_24gb"),
    (r"\bT4\b", "t4_16gb"),
)
"""(what nvidia-smi calls a GPU, its option). One of less memory (an A100 of 40 GB, a laptop's 4090) matches none."""


class ComposedOptions(ConfigSource):
    """Answers ``<group>/a+b``, ``hardware/auto``, ids and places (``compose.typed_ids``) and ``schema/...``; everything
    else is left to the files."""

    @staticmethod
    def scheme() -> str:
        return "rlexp"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path in ("schema", "schema/method")

    def is_config(self, config_path: str) -> bool:
        path = config_path.removesuffix(".yaml")
        group, _, option = path.rpartition("/")
        if path == "schema/run" or path == "hardware/auto":
            return True
        if group == "schema/method":
            return option in METHODS
        if self._place(path):
            return True
        # Whether each part is an option, of whatever folder of the search path, is Hydra's to find out.
        return group in SUMMED_GROUPS and bool(re.fullmatch(r"[\w-]+(\+[\w-]+)+", option))

    def load_config(self, config_path: str) -> ConfigResult:
        path = config_path.removesuffix(".yaml")
        group, _, option = path.rpartition("/")
        if path == "schema/run":
            tree = OmegaConf.structured(RunSchema)
            # The names are vLLM's (``compose.vllm_arguments``), and those of data_prep's scripts (``inputs.find``).
            for free in (tree.rollout.engine, tree.model.params, tree.dataset.params):
                OmegaConf.set_struct(free, False)
            return self._result(path, tree)
        if group == "schema/method":
            return self._result(path, OmegaConf.structured(schema(option)))
        if named := self._place(path):
            named_group, place = named
            root = project.root()
            tree = model_id.settle(place, root).tree() if named_group == "model" else dataset_id.tree(place, root)
            return self._result(path, OmegaConf.create(tree))
        if path == "hardware/auto":
            return self._result(path, OmegaConf.create({"defaults": [detect_hardware(self._options("hardware"))]}))
        parts = _parts(option)
        for part in parts:
            if parts.count(part) > 1:
                once = "+".join(dict.fromkeys(parts))
                raise RunError(f"{group}={option} names {part} twice", hint=f"type {group}={once}")
        # Sorted: the order in which the parts were typed says nothing about the run.
        parts = sorted(parts)
        tree = mixture(parts) if group == "dataset" else OmegaConf.create({"defaults": parts})
        if group == "tracking":
            tree = OmegaConf.create({"defaults": [*parts, "_self_"], "report_to": reported(parts, project.root())})
        return self._result(path, tree)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return ["auto"] if config_path == "hardware" and results_filter in (None, ObjectType.CONFIG) else []

    def _result(self, path: str, config: Any) -> ConfigResult:
        return ConfigResult(
            provider=self.provider, path=f"{self.scheme()}://{path}", config=config, header={"package": None}
        )

    def _place(self, path: str) -> tuple[str, str] | None:
        """(group, option) of an id or a place; a defaults list that names a group below its own is no place."""
        group, _, option = path.partition("/")
        if group not in typed_ids.GROUPS or not typed_ids.names_a_place(option):
            return None
        first = option.partition("/")[0]
        own_group = first not in ("", ".", "..") and Places.of(project.root()).is_group(first)
        return None if own_group else (group, option)

    def _options(self, group: str) -> set[str]:
        return set(Places.of(project.root()).option_files(group))


def _parts(option: str) -> list[str]:
    return option.split("+")


def mixture(parts: list[str]) -> DictConfig:
    """The option of several data sets: each in its own package, since a plain defaults list would merge them."""
    defaults = [*(f"{part}@parts.{part}" for part in parts), "_self_"]
    tree = OmegaConf.create(
        {
            "defaults": defaults,
            "name": "+".join(parts),
            "type": f"${{dataset.parts.{parts[0]}.type}}",
            "parts": {part: {"params": {}} for part in parts},
        }
    )
    for part in parts:  # the names are those of data_prep's scripts, as of one data set
        OmegaConf.set_struct(tree.parts[part].params, False)
    return tree


def reported(parts: list[str], root: Path) -> list[str]:
    """The trackers of several options together: of lists the defaults list would keep the last.

    Raises:
        RunError: an option is not there.
    """
    known, found = Places.of(root).option_files("tracking"), []
    for part in parts:
        if part not in known:
            guess = nearest(part, known)
            hint = (f"did you mean tracking={guess}? or " if guess else "") + f"put {part}.yaml into conf/tracking"
            raise RunError(f"there is no tracking named {part!r}", where=f"tracking={'+'.join(parts)}", hint=hint)
        option = yaml.safe_load(known[part].read_text(encoding="utf-8")) or {}
        found += reported([one for one in option.get("defaults", []) if isinstance(one, str) and one in known], root)
        found += option.get("report_to", [])
    return list(dict.fromkeys(found))


def detect_hardware(options: set[str]) -> str:
    """The hardware option that fits this machine, asked of ``nvidia-smi`` (no torch); ``cpu`` without an answer."""
    found = gpus()
    return hardware_named(found[0].name, options) if found else "cpu"


def hardware_named(gpu: str, options: set[str]) -> str:
    """The option for a GPU that nvidia-smi calls so, ``cuda`` where none is certain to fit.

    Only the first GPU counts: a run takes one device unless several are asked for. (h100x2 gives the second one to a
    vLLM server: a choice of the rollout, not of the machine.)
    """
    known = next((option for pattern, option in GPUS if option in options and re.search(pattern, gpu, re.I)), None)
    return known or next((word for word in gpu.lower().split() if word in options - {"cpu", "cuda"}), "cuda")
