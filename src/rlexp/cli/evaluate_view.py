"""An evaluation on the terminal: for each task a table of subjects, then the differences that are claimed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlexp.compose.task_run import Settled
from rlexp.console import show_table
from rlexp.evaluate.evaluation import Evaluated, Plan
from rlexp.evaluate.regression import GENERAL
from rlexp.evaluate.results import main_metric
from rlexp.evaluate.subjects import BASE

LENGTHS = ("tokens",)


def show(plan: Plan, done: Evaluated, root: Path) -> None:
    """Prints it."""
    content = done.content
    short = labels(list(content["subjects"]))
    print()
    for name in short:
        if short[name] != name:
            print(f"{short[name]}  {name}")
    for work in plan.work:
        results = content["results"][work.name]
        metrics = list(dict.fromkeys(name for found in results.values() for name in found))
        main = main_metric(work.settled, metrics)
        first = next(found for found in results.values() if main in found)[main]
        samples = work.settled.named.task.samples
        shape = f"{first['prompts']} prompts" + (f" x {samples} samples" if samples > 1 else "")
        print(f"\n{work.name}: {shape}, 95% intervals ({first['method']})")
        ordered = [main, *(name for name in metrics if name != main)]
        rows = [[metric, *(_cell(found.get(metric), metric) for found in results.values())] for metric in ordered]
        show_table(["", *(short[name] for name in results)], rows)
        unscored = {name: found[main]["unscored"] for name, found in results.items() if found[main].get("unscored")}
        for name, number in unscored.items():
            print(f"  {short[name]}: {number} samples have no {main}, and are left out")
        for name, shared in plan.contamination.get(work.name, {}).items():
            print(f"  warning: {short[name]}: {shared.words()}")
        for one in content["differences"][work.name]:
            if one["claimed"]:
                print("  " + difference(one, short))
        for line in _unsaid(work.settled, first["prompts"]):
            print(f"  {line}")
        if (smallest := content["detectable"][work.name]) is not None:
            print(f"  differences of {work.settled.name} from {smallest:.3f} on are seen by so many at 80% power")
    for line in general(plan, content, short):
        print(line)
    print(f"\nrecord: {os.path.relpath(done.file, root)}")


def general(plan: Plan, content: dict[str, Any], short: dict[str, str]) -> list[str]:
    """What is forgotten of the tasks that were not trained; nothing where none was asked for or nothing was trained."""
    tasks = [work.name for work in plan.work if work.settled.named.suite == GENERAL]
    trained = [one.name for one in plan.subjects if not one.base]
    if not tasks or not any(one.base for one in plan.subjects):
        return []
    lines = [
        f"  forgotten: {short[one['subject']]} is worse at {one['task']} than {short[one['base']]}: {one['metric']} "
        f"{one['mean']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"
        for one in content["forgotten"]
    ]
    kept = [short[name] for name in trained if name not in {one["subject"] for one in content["forgotten"]}]
    return ["", f"{GENERAL}: {', '.join(tasks)}", *lines] + (
        [f"  {', '.join(kept)}: nothing is forgotten that so many prompts can see"] if kept else []
    )


def _unsaid(settled: Settled, prompts: int) -> list[str]:
    """What was asked for and cannot be said."""
    task = settled.named.task
    over = [f"pass@{k}" for k in task.pass_at if k > task.samples]
    return [f"{', '.join(over)} left out: {task.samples} samples were drawn of each prompt"] if over else []


def labels(names: list[str]) -> dict[str, str]:
    """What each subject is called in a table: ``base`` as it is, others by a letter; one alone by its name."""
    letters = iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return {name: name if name == BASE else next(letters, name) for name in names}


def _cell(found: dict[str, Any] | None, metric: str) -> str:
    if found is None or found["mean"] is None:
        return "-"
    digits = 1 if metric in LENGTHS else 3
    if found["low"] is None:
        return f"{found['mean']:.{digits}f}"
    return f"{found['mean']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def difference(one: dict[str, Any], short: dict[str, str]) -> str:
    """A paired difference in one line."""
    text = f"{short[one['other']]} - {short[one['one']]}: {one['metric']}"
    if one["mean"] is None:
        return f"{text}: {one['method']}"
    text += f" {one['mean']:+.3f}"
    if one["low"] is not None:
        text += f" [{one['low']:+.3f}, {one['high']:+.3f}]"
    p = one.get("p_holm")
    text += f", p {p:.2g} (Holm)" if p is not None else ""
    if one["prediction_noise"] is not None:
        text += f"; noise of the data {one['data_noise']:.2f}, of a sample {one['prediction_noise']:.2f}"
    return text
