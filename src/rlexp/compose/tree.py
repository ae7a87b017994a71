"""From the tree that Hydra composed to a checked run: what was typed, the weights it begins with, the model's size, a
hub model's commit."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from rlexp.compose import cache, hub, model_size, start_settled, typed
from rlexp.compose.places import Places
from rlexp.compose.run import Run, resolve
from rlexp.errors import RunError


def of_tree(cfg: DictConfig, places: Places, overrides: Sequence[str] = ()) -> Run:
    """The run of a tree that Hydra composed: what was typed settled, checked, its model's size read and a hub model's
    commit resolved.

    Args:
        places: where what it names is looked up.
        overrides: those that made the tree.

    Raises:
        RunError: as ``typed.settle``, ``start_settled.settle``, ``resolve``, ``cache.begin``, ``hub.at_commit``; a
            file names a fork.
    """
    keys = typed.keys_of(overrides)
    if cfg.get("fork") and not {"fork", "fork_sha256"} <= keys:
        raise RunError(
            "fork is typed, and stands in no option: each run that it makes says so in its lock",
            where=f"fork: {cfg.fork}",
            hint=f"leave it out of the file, and type fork={cfg.fork}",
        )
    hub.begin(cfg.invocation)
    typed.settle(cfg, keys)
    start_settled.settle(cfg, places.root, keys)
    run = resolve(cfg, model_size.of_tree(cfg, places), places)
    cache.begin(cfg.cache, places.root)
    return hub.at_commit(run)
