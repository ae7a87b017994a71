"""What the identity of a run is a hash of: the part of its config that says which optimisation problem is solved.

It holds over time: a key that is newer than a lock counts only where it differs from its default, so that the config of
an older lock has the identity that the lock states.
"""

from __future__ import annotations

import copy
from typing import Any

EXPERIMENT = ("seed", "model", "method", "dataset", "reward")
"""The parts of the tree that say which optimisation problem is solved; the rest says where, and what is watched."""
UNCOUNTED = (
    *(("dataset", "gold"), ("reward", "time_limit"), ("reward", "max_failed")),
    *(("model", "size"), ("model", "start")),
)
"""Keys of these parts that say how the reward is tried and guarded, what the memory is estimated from or where weights
lie, not what is learned."""
FORK = "fork_sha256"
"""The key of the tree that holds the hash of the checkpoint that a run begins from; it counts where it is set."""
NEW_KEYS: dict[tuple[str, str], Any] = {
    ("dataset", "parts"): {},
    ("method", "off_policy_steps"): 0,
    ("method", "shuffle_rows"): False,
    ("model", "trust_remote_code"): False,
    ("model", "allow_pickle"): False,
    ("method", "vllm_importance_sampling_correction"): True,
    ("method", "vllm_importance_sampling_mode"): "sequence_mask",
    ("method", "vllm_importance_sampling_cap"): None,
    ("method", "vllm_importance_sampling_clip_max"): 3.0,
    ("method", "vllm_importance_sampling_clip_min"): None,
    ("method", "vllm_structured_outputs_regex"): None,
    ("dataset", "difficulty"): None,
    ("model", "start_sha256"): None,
    ("model", "start_merged"): False,
    ("model", "start"): None,
}
"""Keys of these parts that were added after the first lock -> their default, which does not count. Whoever adds a key
to the schema adds it here (a test holds stored identities)."""


def experiment(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that identifies the optimisation problem (EXPERIMENT, less UNCOUNTED and new defaults).

    Args:
        config: the composed tree as plain JSON values (``Run.config``, or the config of a lock).
    """
    tree = {name: copy.copy(config[name]) for name in EXPERIMENT}
    if config.get(FORK):
        tree[FORK] = config[FORK]
    for group, key in UNCOUNTED:
        tree[group].pop(key, None)
    if parts := tree["dataset"].get("parts"):
        tree["dataset"]["parts"] = {name: {k: part[k] for k in part if k != "gold"} for name, part in parts.items()}
    for (group, key), default in NEW_KEYS.items():
        if tree[group].get(key) == default:
            tree[group].pop(key, None)
    return tree
