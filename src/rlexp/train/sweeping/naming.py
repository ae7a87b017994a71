"""The folders of a sweep's points: named by what is trained, so that the same point has the same folder again."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from rlexp.compose.identity import EXPERIMENT
from rlexp.compose.points import OPTIONAL_GROUP, CommandLine, Point
from rlexp.inputs.digest import json_sha256
from rlexp.record.lock import identity

BY_IDENTITY, SUBDIR = "by_identity", "hydra.sweep.subdir"
COUNTED = (*EXPERIMENT, OPTIONAL_GROUP)
"""First parts of keys that identities count."""


def named(line: CommandLine, points: Sequence[Point]) -> list[Point]:
    """The points with folders of their own, where the config leaves their names to us (``hydra.sweep.subdir``); one
    that is the same as an earlier one is left out.

    Those that differ in what no identity counts (``hardware=a,b``) get a hash of what was typed of it too.
    """
    if not by_identity(line):
        return list(points)
    swept = {word for point in points for word in point.overrides if any(word not in o.overrides for o in points)}
    made: dict[str, Point] = {}
    for point in points:
        beside = sorted(word for word in swept.intersection(point.overrides) if _group(word) not in COUNTED)
        suffix = f"_{json_sha256(beside)[:6]}" if beside else ""
        name = f"{identity(point.run)[:8]}_seed{point.run.seed}{suffix}"
        own = dataclasses.replace(point, run_dir=point.sweep_dir / name, of_hydra=(f"{SUBDIR}={name}",))
        made.setdefault(name, own)
    return list(made.values())


def _group(override: str) -> str:
    """The group, or the first part of the key, of an override."""
    return re.split(r"[.@=/]", override.lstrip("+~"), maxsplit=1)[0]


def by_identity(line: CommandLine) -> bool:
    """Whether the config leaves the names of the points' folders to us."""
    raw: Any = OmegaConf.to_container(line.config.hydra.sweep, resolve=False)
    return line.sweeps and raw["subdir"] == BY_IDENTITY
