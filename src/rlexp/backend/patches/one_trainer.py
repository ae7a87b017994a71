"""Unsloth rewrites the trainer of the run's method, and not each of TRL's.

``import unsloth`` writes and compiles a new source for every trainer of TRL and of ``trl.experimental``, which it all
imports: fifteen of them, some seconds of every start (perf/unsloth_trainers.py). One is used. A finder replaces the
walk over all of them as soon as the module that holds it has been executed, before ``import unsloth`` calls it.

Source: ``patch_trl_rl_trainers`` of unsloth/models/rl.py, on a GPU; Unsloth's CPU back end rewrites none.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

from rlexp.backend.patches.patch import APPLIED, Outcome, Patch, not_needed, skipped

MODULE = "unsloth.models.rl"
NEEDED = ("patch_trl_rl_trainers", "_patch_trl_rl_trainers", "_patch_trl_experimental_trainer")
"""Names that the module must have, in this version, for its walk over all trainers to be replaced."""

PATCH = Patch(
    name="one_trainer",
    target=f"{MODULE}.{NEEDED[0]}, when unsloth is imported (sys.meta_path)",
    reason="import unsloth rewrites and compiles fifteen trainers of TRL, of which a run uses one.",
    gain="rewriting all took 6.6 s of 22.9 s of imports at 4B on an H100; imports took 15.0 s with one "
    "(perf/results/2026-11-25_4b_h100.md, two hosts)",
    upstream="https://github.com/unslothai/unsloth/pull/4006",
    made_for={"unsloth": "2026.10", "trl": "1.15"},
    expires="when Unsloth rewrites a trainer as it is first used, or can be told which",
    whole_process=True,
)


def apply(method: str) -> Outcome:
    """Imports Unsloth so that it rewrites the trainer of this method alone, and says whether it did."""
    only(method)
    import unsloth  # noqa: F401

    if method in _Watch.rewritten:
        return APPLIED
    module = sys.modules.get(MODULE)
    if module is None or _replaced(module):
        return not_needed("Unsloth's CPU back end rewrites no trainer")
    missing = [name for name in NEEDED if not hasattr(module, name)]
    return skipped(f"{MODULE} has no {missing[0]}") if missing else not_needed("Unsloth had rewritten all trainers")


def only(method: str) -> None:
    """Has Unsloth rewrite the trainer of this method when it is imported, or now where it is.

    Called before ``import unsloth``, and again in a process that goes on with another method.
    """
    module = sys.modules.get(MODULE)
    if module is None:
        _Watch.method = method
        if _Watch not in sys.meta_path:
            sys.meta_path.insert(0, _Watch)
    elif method not in _Watch.rewritten and _replaced(module):
        _rewrite(module, method)


def _replaced(module: Any) -> bool:
    return getattr(module.patch_trl_rl_trainers, "__module__", None) == __name__


def _rewrite(module: Any, method: str) -> None:
    import trl.trainer

    name = f"{method}_trainer"
    if name in dir(trl.trainer):
        module._patch_trl_rl_trainers(name)
    else:
        trainer_module = importlib.import_module(f"trl.experimental.{method}.{name}")
        module._patch_trl_experimental_trainer(method, trainer_module)
    _Watch.rewritten.add(method)


class _Watch:
    """A finder that finds one module, and replaces its walk as soon as it has been executed."""

    method: str
    rewritten: ClassVar[set[str]] = set()

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        if name != MODULE:
            return None
        sys.meta_path.remove(cls)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def executed(module: Any) -> None:
            execute(module)
            if all(hasattr(module, needed) for needed in NEEDED):

                def patch_trl_rl_trainers() -> None:
                    _rewrite(module, cls.method)

                module.patch_trl_rl_trainers = patch_trl_rl_trainers

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec
