"""A sweep that was read, as JSON values and in words."""

from __future__ import annotations

import dataclasses
from typing import Any

from rlexp.evaluate.statistics import winner
from rlexp.evaluate.sweeps.points import Row
from rlexp.evaluate.sweeps.reading import Best, Reading, Setting
from rlexp.record.sweeps import BEST


def to_json(found: Reading) -> dict[str, Any]:
    """A sweep that was read, as JSON values."""
    metric = found.metric
    named = metric and {
        **{"name": metric.name, "source": metric.source, "better": "higher" if metric.higher else "lower"},
        "others": list(metric.others),
    }
    return {
        "sweep_dir": found.shown,
        "metric": named,
        "keys": found.keys,
        "points": [_row(row) for row in found.rows],
        "impossible": [dataclasses.asdict(one) for one in found.impossible],
        "settings": [_setting(one) for one in found.settings],
        "effects": [dataclasses.asdict(one) for one in found.effects],
        "best": found.best and _best(found.best),
        "notes": found.notes,
    }


def _row(row: Row) -> dict[str, Any]:
    metric = row.metric
    return {
        **{"run_dir": row.shown, "values": row.values, "seed": row.seed, "status": row.status},
        **({"reason": row.reason} if row.reason else {}),
        "before": metric and metric.before,
        "after": metric and metric.after,
        "change": metric and metric.change,
        **{"steps": row.steps, "seconds": row.seconds, "warm": row.warm},
    }


def _setting(one: Setting) -> dict[str, Any]:
    return {"values": one.values, "runs": [row.shown for row in one.rows], **dataclasses.asdict(one.folded)}


def _best(best: Best) -> dict[str, Any]:
    found, (corrected, low, high) = best.found, best.corrected
    second = best.second and {
        **{"values": best.second.values, "mean": best.second.folded.mean, "difference": found.difference},
        **{"low": found.low, "high": found.high, "p": found.p, "told": found.told, "method": found.method},
        **{"noise": found.noise, "seeds_needed": found.seeds_needed, "more_seeds": best.more_seeds},
    }
    return {
        **{"values": best.setting.values, "run_dir": best.row.shown, "mean": best.setting.folded.mean},
        **{"optimism": found.optimism, "corrected": corrected, "low": low, "high": high, "method": winner.HALVED},
        "second": second,
    }


def best_lines(best: Best, shown: str, metric: str) -> list[str]:
    """What is known of the best setting, and what to type next."""
    found, folded = best.found, best.setting.folded
    lines = [f"best: {setting(best.setting.values)}, {metric} {folded.mean:.3f} over {_seeds(folded.seeds)}"]
    corrected, low, high = best.corrected
    if not best.setting.values:
        lines[0] = f"{metric} {folded.mean:.3f} over {_seeds(folded.seeds)}; only the seed was varied"
    elif best.second is None:
        lines[0] += f"; it is the only {'one that finished' if best.unfinished else 'setting'}"
    elif corrected is None:
        lines.append("  chosen for being the best, it is flattered; with one seed in common nothing says by how much")
    else:
        between = f" [{low:.3f}, {high:.3f}]" if low is not None else ""
        lines.append(
            f"  less {found.optimism:.3f} for having been chosen (by halving the seeds): {corrected:.3f}{between}"
        )
    if best.second:
        lines.append(f"  {_told(best, metric)}")
        if best.more_seeds:
            want, lacking = f"{abs(found.difference or 0.0):.3f}", f"{best.more_seeds} more at least"
            lines.append(f"  to see {want} at 80% power: {found.seeds_needed} seeds of each setting, {lacking}")
    lines.append(f"  its run with the best {metric}: {best.row.shown}; python -m rlexp pin {shown}{BEST}")
    return lines


def _told(best: Best, metric: str) -> str:
    found = best.found
    assert best.second and found.difference is not None
    against = f"the second, {setting(best.second.values)}: {found.difference:+.3f}"
    if not found.difference:
        return f"{setting(best.second.values)} is as good: neither is told from the other"
    if found.p is None:
        return f"not told from {against} ({found.method.removeprefix('none: ')})"
    between = f" [{found.low:+.3f}, {found.high:+.3f}], p {found.p:.2g}"
    return f"{'told' if found.told else 'not told'} from {against}{between}"


def setting(values: dict[str, Any]) -> str:
    """A setting as it is typed."""
    return " ".join(f"{key}={text(value)}" for key, value in values.items()) or "the one setting"


def brief(key: str) -> str:
    """A key as a person says it: ``beta`` is the method's."""
    return key.removeprefix("method.").removeprefix("reward.terms.")


def text(value: Any) -> str:
    """A value of a key."""
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _seeds(number: int) -> str:
    return f"{number} seed{'' if number == 1 else 's'}"
