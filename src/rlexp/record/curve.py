"""The curve of a run's reward, or of its loss, as a picture in SVG: small, without a library, for light and dark."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from typing import Any

from rlexp.errors import printable
from rlexp.record.run_folder import MAIN_METRICS

WIDTH, HEIGHT, LEFT, BELOW = 480, 150, 52, 22
MOST = 480
"""Points that are drawn at most, one a pixel."""


def of_entries(entries: Iterable[Mapping[str, Any]]) -> tuple[str, list[tuple[float, float]]]:
    """(name, [(step, value)]) of the first of MAIN_METRICS that the entries of ``metrics.jsonl`` hold."""
    kept = list(entries)
    for name in MAIN_METRICS:
        found: list[tuple[Any, Any]] = [(entry.get("step"), entry.get(name)) for entry in kept]
        points = [(float(step), float(value)) for step, value in found if _number(step) and _number(value)]
        if points:
            return name, points
    return MAIN_METRICS[0], []


def svg(name: str, points: list[tuple[float, float]]) -> str:
    """The picture; empty for fewer than two points.

    Args:
        name: of the metric.
        points: (step, value), by rising step.
    """
    if len(points) < 2:
        return ""
    drawn = points[:: math.ceil(len(points) / MOST)]
    if drawn[-1] != points[-1]:
        drawn.append(points[-1])
    steps, values = [step for step, _ in drawn], [value for _, value in drawn]
    low, high = min(values), max(values)
    first, last = steps[0], steps[-1]
    room = HEIGHT - BELOW - 8
    placed = " ".join(
        f"{LEFT + (WIDTH - LEFT - 8) * (step - first) / ((last - first) or 1):.1f},"
        f"{8 + room * (1 - (value - low) / ((high - low) or 1)):.1f}"
        for step, value in drawn
    )
    label = html.escape(printable(name))
    texts = [
        (LEFT - 6, 12, "end", f"{high:.3g}"),
        (LEFT - 6, 8 + room, "end", f"{low:.3g}"),
        (LEFT, HEIGHT - 5, "start", f"{first:g}"),
        (WIDTH - 8, HEIGHT - 5, "end", f"{last:g}"),
        ((LEFT + WIDTH) / 2, HEIGHT - 5, "middle", f"{label} by step"),
    ]
    words = "".join(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{label} by step" font-family="sans-serif" font-size="11" fill="currentColor">'
        f'<path d="M{LEFT} 4V{8 + room:g}H{WIDTH - 4}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>'
        f'<polyline points="{placed}" fill="none" stroke="#0d9488" stroke-width="1.5"/>{words}</svg>'
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
