"""The folders of a sweep's points: named by what is trained, so that the same point has the same folder again."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from rlexp.compose.points import CommandLine, Point
from rlexp.inputs.digest import json_sha256
from rlexp.record.lock import identity

BY_IDENTITY, SUBDIR = "by_identity", "hydra.sweep.subdir"


def named(line: CommandLine, points: Sequence[Point]) -> list[Point]:
    """The points with folders of their own, where the config leaves their names to us (``hydra.sweep.subdir``).

    Those that differ in nothing that an identity counts (``hardware=a,b``) get a hash of what was typed too.
    """
    if not by_identity(line):
        return list(points)
    names = [f"{identity(point.run)[:8]}_seed{point.run.seed}" for point in points]
    count = Counter(names)
    made = []
    for point, name in zip(points, names, strict=True):
        own = name if count[name] == 1 else f"{name}_{json_sha256(sorted(point.overrides))[:6]}"
        made.append(dataclasses.replace(point, run_dir=point.sweep_dir / own, of_hydra=(f"{SUBDIR}={own}",)))
    return made


def by_identity(line: CommandLine) -> bool:
    """Whether the config leaves the names of the points' folders to us."""
    raw: Any = OmegaConf.to_container(line.config.hydra.sweep, resolve=False)
    return line.sweeps and raw["subdir"] == BY_IDENTITY
