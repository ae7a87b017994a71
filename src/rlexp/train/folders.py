"""The folders that a command line writes its runs to: planned, refused or claimed before Hydra makes any of them."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from rlexp.compose.explain import explain
from rlexp.errors import RunError
from rlexp.record.claim import MANIFEST, SWEEP, held

RUN_KEY, SWEEP_KEY, POINT_KEY = "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"
TAKEN = ("conf", "data", "data_prep", "models", "pinned", "rewards", "src", "tests", ".dvc", ".git", ".smoke")
"""Folders of a project that hold other things than runs."""


@contextlib.contextmanager
def claimed(conf: Path, typed: Sequence[str], points: Sequence[Sequence[str]], multirun: bool) -> Iterator[str]:
    """Claims the folder of a run, or of a sweep, while Hydra runs its jobs.

    A folder whose name holds the time is another one when Hydra makes it: its record claims it.

    Args:
        typed: the overrides of the command line.
        points: the overrides of every point; one where nothing is swept.

    Yields:
        The folder, from the project.

    Raises:
        RunError: it is not new, cannot be made, or two points would share theirs.
    """
    key, mark = (SWEEP_KEY, SWEEP) if multirun else (RUN_KEY, MANIFEST)
    try:
        named, timed = planned(conf, typed, points, key)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, conf) from error
    _refuse_taken(conf.parent, named, key)
    if timed:
        yield named
        return
    with held(conf.parent / named, mark, named, key):
        yield named


def planned(conf: Path, typed: Sequence[str], points: Sequence[Sequence[str]], key: str) -> tuple[str, bool]:
    """(folder of the run or sweep, whether its name holds the time).

    Raises:
        RunError: two points would share a folder.
    """
    settings = [override for override in typed if override.lstrip("+~").startswith("hydra")]
    if key == SWEEP_KEY:
        require_apart(conf, settings, points)
    composed = _composed(conf, [*settings, *points[0]], 0)
    named = str(OmegaConf.select(composed, key))
    OmegaConf.clear_cache(composed)
    return named, named != str(OmegaConf.select(composed, key))


def require_apart(conf: Path, settings: Sequence[str], points: Sequence[Sequence[str]]) -> None:
    """Checks that the points of a sweep have one folder together, and each its own below it.

    Raises:
        RunError: they have not.
    """
    first = _composed(conf, [*settings, *points[0]], 0)
    raw = OmegaConf.to_container(first.hydra.sweep, resolve=False)
    assert isinstance(raw, dict)
    follows = "${" in str(raw["dir"]).replace("${now:", "")
    if not follows and any(number in str(raw["subdir"]) for number in ("job.num", "job.id")):
        return
    made = [first, *(_composed(conf, [*settings, *point], n) for n, point in enumerate(points[1:], 1))]
    OmegaConf.select(first, SWEEP_KEY)
    for item in made[1:]:  # the time is no difference: Hydra takes it once for a sweep
        OmegaConf.copy_cache(first, item)
    where = {str(OmegaConf.select(item, SWEEP_KEY)) for item in made}
    if len(where) > 1:
        raise RunError(
            f"the points of the sweep would lie in {len(where)} folders: {SWEEP_KEY} follows what is swept",
            where=f"{SWEEP_KEY}={raw['dir']}",
            hint=f"put what is swept into the points' names: {SWEEP_KEY}=multirun/mine "
            f"'{POINT_KEY}=${{hydra.job.num}}_${{method.name}}'",
        )
    subdirs = Counter(os.path.normpath(str(OmegaConf.select(item, POINT_KEY))) for item in made)
    shared, count = subdirs.most_common(1)[0]
    if count > 1 or shared.startswith(".."):
        what = f"{count} points of the sweep would share the folder {shared}" if count > 1 else f"{shared} lies outside"
        raise RunError(
            f"{what}; nothing was started",
            where=f"{POINT_KEY}={raw['subdir']}",
            hint=f"type '{POINT_KEY}=${{hydra.job.num}}', or leave it out",
        )


def _composed(conf: Path, overrides: Sequence[str], number: int) -> DictConfig:
    """The config of a point with Hydra's own part."""
    with initialize_config_dir(config_dir=str(conf), version_base="1.3", job_name="rlexp"):
        composed = compose("config", overrides=list(overrides), return_hydra_config=True)
    with open_dict(composed.hydra.job):
        composed.hydra.job.num, composed.hydra.job.id = number, str(number)
    HydraConfig.instance().set_config(composed)
    return composed


def _refuse_taken(root: Path, named: str, key: str) -> None:
    top = Path(os.path.relpath(root / named, root)).parts[:1]
    if (top and top[0] in TAKEN) or os.path.relpath(root / named, root) == ".":
        raise RunError(
            f"{named} holds other things than runs",
            where=f"{key}={named}",
            hint=f"type {key}={'outputs' if key == RUN_KEY else 'multirun'}/NAME, or leave it out",
        )
