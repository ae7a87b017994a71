"""Pictures of a benchmark: latency by format, and size against score. matplotlib is imported here only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LATENCY, SIZE = "benchmark-latency.png", "benchmark-size.png"


def draw(content: dict[str, Any], folder: Path) -> list[Path]:
    """Draws what was measured, beside the record.

    Args:
        content: of ``benchmark.json``.

    Returns:
        The files; none where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    made = []
    measured = {name: one for name, one in content["artifacts"].items() if one.get("levels")}
    for file, drawn in ((LATENCY, _latency), (SIZE, _size)):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        if measured and drawn(figure, measured):
            figure.savefig(folder / file, dpi=120)
            made.append(folder / file)
    return made


def _latency(figure: Any, artifacts: dict[str, dict[str, Any]]) -> bool:
    parts = (("first_token_s", "until the first token"), ("token_s", "from token to token"))
    levels = [level["together"] for level in next(iter(artifacts.values()))["levels"]]
    width = 0.8 / len(levels)
    for axes, (key, title) in zip(figure.subplots(1, 2), parts, strict=True):
        for number, together in enumerate(levels):
            spreads = [_spread(one, together, key) for one in artifacts.values()]
            middle, over = [low for low, _ in spreads], [high - low for low, high in spreads]
            places = [place + number * width for place in range(len(artifacts))]
            axes.bar(places, middle, width, yerr=[[0] * len(over), over], capsize=2, label=f"{together} at once")
        places = [place + 0.4 - width / 2 for place in range(len(artifacts))]
        axes.set_xticks(places, artifacts, rotation=45, ha="right")
        axes.set_title(title)
        axes.set_yscale("log")  # runtimes are far apart
        axes.set_ylabel("ms (bar: median, line: to p99)")
        axes.legend()
    return True


def _spread(artifact: dict[str, Any], together: int, key: str) -> tuple[float, float]:
    """The median and the 99th percentile of a level in milliseconds; 0 where it was not reached."""
    found = (one[key] for one in artifact["levels"] if one["together"] == together)
    spread: dict[str, float] = next(found, {})
    return 1e3 * spread.get("p50", 0.0), 1e3 * spread.get("p99", 0.0)


def _size(figure: Any, artifacts: dict[str, dict[str, Any]]) -> bool:
    scored = {name: one for name, one in artifacts.items() if one["score"] and one["score"]["mean"] is not None}
    if not scored:
        return False
    axes = figure.subplots()
    for name, one in scored.items():
        score, size = one["score"], one["bytes"] / 1e6
        low, high = (score["mean"] if score[end] is None else score[end] for end in ("low", "high"))
        error = [[max(0.0, score["mean"] - low)], [max(0.0, high - score["mean"])]]
        axes.errorbar([size], [score["mean"]], yerr=error, fmt="o", capsize=3, label=name)
    first = next(iter(scored.values()))["score"]
    if first["run"]["mean"] is not None:
        axes.axhline(first["run"]["mean"], linestyle="--", linewidth=1, color="grey", label="the run")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))  # beside: points of one size lie upon each other
    axes.set_xlabel("MB of files")
    axes.set_ylabel(f"{first['metric']} of {first['task']}, 95% interval")
    return True
