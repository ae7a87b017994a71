"""Which artifact to ship: the smallest or the fastest of those that lose at most so much (``export.want``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlexp.compose.schema_export import Want


def recommend(artifacts: Mapping[str, Any], want: Want, at_most: float) -> dict[str, Any]:
    """Names one.

    Args:
        artifacts: those of the manifest.
        at_most: the loss of the task's metric that is taken: the lower end of the paired 95% interval lies above it.

    Returns:
        ``name``, None where none qualifies, and ``why``.
    """
    fit = [name for name, one in artifacts.items() if _loses(one, at_most) is False]
    if not fit:
        lost = {name: _loses(one, at_most) for name, one in artifacts.items()}
        untold = [name for name, one in lost.items() if one is None]
        why = f"none is known to lose at most {at_most:g}"
        if untold:
            why += f"; of {', '.join(untold)} so many prompts cannot tell: type export.gate.want={at_most:g}"
        return {"name": None, "why": why}
    if want is Want.smallest:
        best = min(fit, key=lambda name: (artifacts[name]["bytes"], name))
        figure = f"{artifacts[best]['bytes'] / 1e6:.1f} MB"
    else:
        best = max(fit, key=lambda name: (artifacts[name]["gate"]["tokens_per_s"], name))
        figure = f"{artifacts[best]['gate']['tokens_per_s']:.0f} tokens per second in the gate, on this machine"
    return {"name": best, "why": f"the {want.name} of {', '.join(fit)}, which lose at most {at_most:g}: {figure}"}


def _loses(one: Mapping[str, Any], at_most: float) -> bool | None:
    """Whether it loses more; None where that is not known."""
    if one["verdict"] == "broken":
        return True
    task = one.get("task")
    if not task or task["low"] is None:
        return None
    if task["low"] > -at_most:
        return False
    return True if task["high"] < -at_most else None
