"""The folders that a command line writes its runs to: refused or claimed before Hydra makes any of them."""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from rlexp.compose.points import CommandLine, Point
from rlexp.errors import RunError
from rlexp.record.claim import MANIFEST, SWEEP, held, require_free
from rlexp.train.sweeping.naming import named

RUN_KEY, SWEEP_KEY, POINT_KEY = "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"
TAKEN = ("conf", "data", "data_prep", "models", "pinned", "rewards", "src", "tests", ".dvc", ".git", ".smoke")
"""Folders of a project that hold other things than runs."""


@contextlib.contextmanager
def claimed(line: CommandLine, points: Sequence[Point]) -> Iterator[Path]:
    """Claims the folder of a run, or of a sweep, while its jobs run.

    Args:
        line: what was typed.
        points: its points; none where the sweeper makes them as it goes.

    Yields:
        The folder.

    Raises:
        RunError: it is not new, cannot be made, or two points would share theirs.
    """
    folder, mark, shown, key = _named(line, points)
    with held(folder, mark, shown, key):
        yield folder


def refuse(line: CommandLine, points: Sequence[Point]) -> None:
    """Refuses what ``claimed`` would, and claims and writes nothing.

    Raises:
        RunError: the folder is not new, or two points would share theirs.
    """
    folder, mark, shown, key = _named(line, points)
    require_free(folder, mark, shown, key)


def _named(line: CommandLine, points: Sequence[Point]) -> tuple[Path, str, str, str]:
    """The folder, the file that claims it, the folder as it is typed from the project, and the key that names it."""
    if line.sweeps:
        require_apart(line, points)
    folder = points[0].sweep_dir if points else line.root / line.config.hydra.sweep.dir
    _refuse_outside(line.config.hydra.output_subdir)
    key, mark = (SWEEP_KEY, SWEEP) if line.sweeps else (RUN_KEY, MANIFEST)
    shown = os.path.relpath(folder, line.root)
    shown = os.path.abspath(folder) if shown.startswith("..") else shown
    _refuse_taken(shown, key)
    return folder, mark, shown, key


def require_apart(line: CommandLine, points: Sequence[Point]) -> None:
    """Checks that the points of a sweep have one folder together, and each its own below it.

    Raises:
        RunError: they have not.
    """
    raw = OmegaConf.to_container(line.config.hydra.sweep, resolve=False)
    assert isinstance(raw, dict)
    points = named(line, points)
    above = Counter(point.sweep_dir for point in points)
    if len(above) > 1:
        raise RunError(
            f"the points of the sweep would lie in {len(above)} folders: {SWEEP_KEY} follows what is swept",
            where=f"{SWEEP_KEY}={raw['dir']}",
            hint=f"put what is swept into the points' names: {SWEEP_KEY}=multirun/mine "
            f"'{POINT_KEY}=${{hydra.job.num}}_${{method.name}}'",
        )
    below = Counter(os.path.relpath(point.run_dir, point.sweep_dir) for point in points)
    for name, count in below.most_common():
        if count == 1 and not name.startswith(".."):
            continue
        what = f"{count} points of the sweep would share the folder {name}" if count > 1 else f"{name} lies outside"
        raise RunError(
            f"{what}; nothing was started",
            where=f"{POINT_KEY}={raw['subdir']}",
            hint=f"type '{POINT_KEY}=${{hydra.job.num}}', or leave it out",
        )


def _refuse_outside(subdir: str | None) -> None:
    """Hydra writes its copies of the config there, over whatever has their names."""
    if subdir is not None and (subdir in (".", "..") or not re.fullmatch(r"[\w.+@=-]+", subdir)):
        raise RunError(
            f"{subdir} is no name of a folder in the run folder",
            where=f"hydra.output_subdir={subdir}",
            hint="leave hydra.output_subdir out, or type hydra.output_subdir=null",
        )


def _refuse_taken(shown: str, key: str) -> None:
    top = Path(shown).parts[:1]
    if (top and top[0] in TAKEN) or shown == ".":
        raise RunError(
            f"{shown} holds other things than runs",
            where=f"{key}={shown}",
            hint=f"type {key}={'outputs' if key == RUN_KEY else 'multirun'}/NAME, or leave it out",
        )
