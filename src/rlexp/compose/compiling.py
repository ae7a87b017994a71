"""Whether the vLLM that starts with a run compiles the model before it samples. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rlexp.compose.schema import Rollout

PAYS = 30_000
"""Tokens decoded one after the other from which compiling pays: at 4B a token takes 0.3 to 0.5 ms less then, and the
engine starts 11 s later (H200, perf/results/2026-11-30_cold_start_h200.md): 22,000 to 37,000."""
GRAPHS = {"cudagraph_capture_sizes", "max_cudagraph_capture_size"}
"""Keys of ``compilation_config`` about graphs, which need no compiled model."""


def settled(rollout: Rollout, arguments: Mapping[str, Any]) -> Rollout:
    """The rollout with ``compiled`` decided: in vLLM's names, by the key itself, else by what the run samples.

    Args:
        arguments: of the method. How many steps a number of epochs has is not known here: many.
    """
    if not rollout.vllm or rollout.server_url:
        return dataclasses.replace(rollout, compiled=None)
    compiled = said(rollout)
    compiled = rollout.compiled if compiled is None else compiled
    if compiled is None:
        steps = arguments["max_steps"] // arguments.get("num_iterations", 1)
        compiled = steps <= 0 or steps * arguments["max_completion_length"] >= PAYS
    return dataclasses.replace(rollout, compiled=compiled)


def said(rollout: Rollout) -> bool | None:
    """Whether vLLM compiles by what is said in its own names, or cannot be told (``rollout.patches=off``); None where
    that leaves it open."""
    level, config = rollout.engine.get("optimization_level"), rollout.engine.get("compilation_config")
    mode = config.get("mode") if isinstance(config, Mapping) else config
    if rollout.enforce_eager:
        return False
    if rollout.in_process and not rollout.patches:
        return True
    if mode is not None or level is not None:
        return (level if mode is None else mode) not in (0, "NONE", "O0")
    return True if isinstance(config, Mapping) and config.keys() - GRAPHS else None
