"""``sweep``: reads a sweep that ran: its points, what each key did, which setting is best and how sure that is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.cli import sweep_view
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import Parser
from rlexp.evaluate.statistics import winner
from rlexp.evaluate.sweeps import reading, table
from rlexp.evaluate.sweeps.points import Row
from rlexp.evaluate.sweeps.reading import Best, Reading, Setting


def command(arguments: list[str], here: Path) -> Answer:
    """``sweep FOLDER [--metric NAME] [--csv FILE] [--parquet FILE]``: reads the records of its points; runs nothing.

    Raises:
        RunError: there is no such sweep or metric, or a file is there already or cannot be written.
    """
    parser = Parser("sweep", "Reads a sweep (-m) that ran: its points, the effect of each key, the best setting.")
    parser.add_argument("folder", metavar="FOLDER", help="that of a sweep")
    about = "a held-out metric, or TASK.METRIC of an evaluation; by default the main held-out one"
    parser.add_argument("--metric", metavar="NAME", help=about)
    for kind in ("csv", "parquet"):
        parser.add_argument(f"--{kind}", metavar="FILE", help="writes one row a point, a column a varied key")
    options, root = parser.parse_args(arguments), project.root()
    files = {f"--{kind}": typed for kind in ("csv", "parquet") if (typed := getattr(options, kind))}
    for flag, typed in files.items():
        table.require_free(here / typed, f"{flag} {typed}")
    found = reading.read(reading.find(options.folder, here, root), root, options.metric)
    for flag, typed in files.items():
        table.write(found, here / typed, f"{flag} {typed}", flag == "--parquet")
    return Answer(lambda: to_json(found, list(files.values())), lambda: sweep_view.show(found, list(files.values())))


def to_json(found: Reading, written: list[str]) -> dict[str, Any]:
    """A sweep that was read, as JSON values."""
    metric = found.metric
    named = metric and {
        **{"name": metric.name, "source": metric.source, "better": "higher" if metric.higher else "lower"},
        "others": list(metric.others),
    }
    return {
        "format": FORMAT,
        "sweep_dir": found.shown,
        "metric": named,
        "keys": found.keys,
        "points": [_row(row) for row in found.rows],
        "impossible": [dataclasses.asdict(one) for one in found.impossible],
        "settings": [_setting(one) for one in found.settings],
        "effects": [dataclasses.asdict(one) for one in found.effects],
        "best": found.best and _best(found.best),
        "notes": found.notes,
        "written": written,
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
