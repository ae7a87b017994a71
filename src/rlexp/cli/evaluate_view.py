"""An evaluation on the terminal: for each task a table of subjects, then the differences that are claimed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlexp.console import show_table
from rlexp.evaluate.evaluation import Evaluated, Plan
from rlexp.evaluate.results import main_metric

LENGTHS = ("tokens",)


def show(plan: Plan, done: Evaluated, root: Path) -> None:
    """Prints it."""
    content = done.content
    for work in plan.work:
        results = content["results"][work.name]
        metrics = list(dict.fromkeys(name for found in results.values() for name in found))
        main = main_metric(work.settled, metrics)
        ordered = [main, *(name for name in metrics if name != main)]
        first = next(found[main] for found in results.values() if main in found)
        print(
            f"\n{work.name}: {first['prompts']} prompts, {first['samples']} samples; 95% intervals ({first['method']})"
        )
        show_table(
            ["", *ordered],
            [[name, *(_cell(found.get(metric), metric) for metric in ordered)] for name, found in results.items()],
        )
        rows = [one for one in content["differences"][work.name] if one["claimed"]]
        for one in rows:
            print("  " + difference(one))
    print(f"\nrecord: {os.path.relpath(done.file, root)}")


def _cell(found: dict[str, Any] | None, metric: str) -> str:
    if found is None or found["mean"] is None:
        return "-"
    digits = 1 if metric in LENGTHS else 3
    if found["low"] is None:
        return f"{found['mean']:.{digits}f}"
    return f"{found['mean']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def difference(one: dict[str, Any]) -> str:
    """A paired difference in one line."""
    text = f"{one['other']} - {one['one']}: {one['metric']} {one['mean']:+.3f}"
    if one["low"] is not None:
        text += f" [{one['low']:+.3f}, {one['high']:+.3f}]"
    p = one.get("p_holm")
    return text + (f", p {p:.2g} (Holm)" if p is not None else "")
