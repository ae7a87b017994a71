"""The patches of TRL, Unsloth and vLLM: one module each, listed in PATCHES, and what became of them in a run.

A module holds ``PATCH``, which says what is changed and why, and ``apply``, which answers whether it was. Nothing else
in rlexp assigns to an attribute of a library's module. ``surface`` lists the private names that are relied on.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from rlexp.backend import ranks
from rlexp.backend.patches import (
    base_reference,
    engine_class,
    flat_logprobs,
    importance_ratio,
    merged_weights,
    micro_batches,
    model_class,
    off_policy,
    one_trainer,
    orpo_tokens,
    packed_check,
    packed_kernel,
    sampled_logprobs,
    sampler_kernels,
    seeded_requests,
    seeded_rows,
    shared_engine,
    token_ids_only,
    uncompiled_blocks,
)
from rlexp.backend.patches.patch import Outcome, Patch, PatchModule, Status, not_needed, skipped
from rlexp.errors import RunError

if TYPE_CHECKING:
    from rlexp.backend.engine.engine import Engine
    from rlexp.backend.trainers.protocol import OnlineTrainer

PATCHES: dict[str, Patch] = {
    patch.name: patch
    for patch in (
        micro_batches.PATCH,
        importance_ratio.PATCH,
        off_policy.PATCH,
        base_reference.PATCH,
        orpo_tokens.PATCH,
        one_trainer.PATCH,
        packed_kernel.PATCH,
        packed_check.PATCH,
        uncompiled_blocks.PATCH,
        engine_class.PATCH,
        shared_engine.PATCH,
        model_class.PATCH,
        sampler_kernels.PATCH,
        merged_weights.PATCH,
        seeded_requests.PATCH,
        seeded_rows.PATCH,
        sampled_logprobs.PATCH,
        flat_logprobs.PATCH,
        token_ids_only.PATCH,
    )
}
OFF = skipped("rollout.patches=off")
UNUSED = not_needed("the run has no use for it")


class Patches:
    """The patches of one run, and what became of each.

    Args:
        allowed: ``rollout.patches``; nothing is applied without.
        warn: is called once for each patch and process that meets versions which it was not made for.
    """

    _warned: ClassVar[set[str]] = set()
    _standing: ClassVar[set[str]] = set()
    """Patches that earlier runs of this process left in place."""

    def __init__(self, allowed: bool = True, warn: Callable[[str], None] | None = None) -> None:
        self.allowed = allowed
        self.warn = warn or logging.getLogger(__name__).warning
        self.outcomes: dict[str, Outcome] = {}

    def apply(self, module: PatchModule, *args: Any) -> bool:
        """Applies a patch where patches are allowed, notes the answer, and says whether it is in place.

        A patch that was applied to one trainer of the run counts as applied, whatever it answers for the next.
        """
        patch = module.PATCH
        outcome = module.apply(*args) if self.allowed else OFF
        applied = outcome.status is Status.applied
        before = self.outcomes.get(patch.name)
        if applied or before is None or before.status is not Status.applied:
            self.outcomes[patch.name] = outcome
        if applied:
            if patch.whole_process:
                Patches._standing.add(patch.name)
            self._compare_versions(patch)
        return applied

    def _compare_versions(self, patch: Patch) -> None:
        if patch.name in Patches._warned:
            return
        Patches._warned.add(patch.name)
        if other := patch.other_versions():
            self.warn(f"the patch {patch.name} meets {', '.join(other)}: type rollout.patches=off to train without")

    def require_clean_process(self) -> None:
        """Does nothing where patches are allowed, or none was left in this process.

        Raises:
            RunError: a run without patches would be trained with those of an earlier run.
        """
        if not self.allowed and Patches._standing:
            raise RunError(
                f"an earlier run left patches in this process: {', '.join(sorted(Patches._standing))}",
                where="rollout.patches=off",
                hint="run it in a process of its own: sweep over rollout.patches in several commands",
            )

    def to_json(self) -> dict[str, dict[str, str]]:
        """Every patch -> its status, and why where it was not applied: what the manifest holds."""
        rest = UNUSED if self.allowed else OFF
        outcomes = {name: self.outcomes.get(name, rest) for name in PATCHES}
        return {
            name: {"status": outcome.status.value, **({"why": outcome.why} if outcome.why else {})}
            for name, outcome in outcomes.items()
        }


def prepare_sampling(trainer: OnlineTrainer, engine: Engine, off_policy_steps: int = 0) -> None:
    """Patches a trainer that samples while it trains, once its engine, where it has one, has started.

    Neither samples nor gradients are changed, but for one exception that is asked for: ``method.off_policy_steps``.
    """
    patches = engine.patches
    patches.apply(micro_batches, trainer)
    if off_policy_steps:
        patches.apply(off_policy, trainer)
    else:
        patches.apply(importance_ratio, trainer)
    generation = getattr(trainer, "vllm_generation", None)
    if generation is None:
        patches.apply(seeded_rows, trainer, engine.run.seed, engine.run.rollout.seed_rows, ranks.current())
        return
    patches.apply(token_ids_only, generation)
    patches.apply(seeded_requests, trainer, generation, engine.run.seed)
    patches.apply(merged_weights, trainer, generation, engine)
    # An engine in the process makes objects by the thousand, and every full collection they cause would walk through
    # those of torch and vLLM, which stay.
    gc.collect()
    gc.freeze()
