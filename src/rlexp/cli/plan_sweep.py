"""``plan -m``: a row a point, what the points share, and what they take together."""

from __future__ import annotations

import heapq
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp.cli import plan_eval, plan_json, plan_time, typed_ids
from rlexp.cli.plan_run import describe, refuse, render
from rlexp.compose.points import CommandLine, Point
from rlexp.compose.second_root import Asked
from rlexp.console import show_table
from rlexp.inputs.find import Inputs, find_inputs
from rlexp.preflight.memory import describe_total, fits
from rlexp.preflight.smoke.passes import duration
from rlexp.record import pace
from rlexp.record.pace import Pace
from rlexp.record.sweeps import Impossible, varied
from rlexp.train import folders
from rlexp.train.sweeping import into, pool, sweep
from rlexp.train.sweeping.naming import named
from rlexp.verdict import Level

SHOWN = 3
"""Values of a row that are shown where points differ in it."""


@dataclass
class PlannedPoint:
    """A point, what it takes and what is expected of it."""

    point: Point
    inputs: Inputs
    varied: list[str]
    """The overrides that not every point has."""
    time: Pace | None
    trained: bool = False
    """It was trained already (``sweep.into``)."""
    warm: bool = False
    """It finds its model loaded."""


@dataclass
class Planned:
    """A sweep before it begins."""

    root: Path
    folder: Path
    launcher: str
    workers: int | None
    """Points at once; None where the launcher decides."""
    points: list[PlannedPoint]
    impossible: list[Impossible] = field(default_factory=list)
    seconds: float = 0.0
    """Of all points whose time is known."""
    wall: float = 0.0
    """By the clock, with so many workers."""

    @property
    def todo(self) -> list[PlannedPoint]:
        """The points that are trained."""
        return [one for one in self.points if not one.trained]

    @property
    def unknown(self) -> int:
        """How many points have no estimate."""
        return sum(one.time is None for one in self.todo)


def planned(line: CommandLine) -> Planned:
    """The points of a sweep, checked as far as reading little goes, and what is expected of each.

    Raises:
        RunError: one is impossible, and is not left out; or the folder is not free.
    """
    line, before = into.settled(line)
    launcher, root = line.choice("hydra/launcher"), line.root
    sweep.require_own(line)
    made = named(line, line.points())
    sweep.one_loader(line, [one.run for one in made])
    (folders.require_apart if before else folders.refuse)(line, made)
    known = pace.seen(root)

    def ready(point: Point) -> PlannedPoint:
        inputs = find_inputs(point.run, root)
        refuse(point.run, inputs)
        return PlannedPoint(point, inputs, [], plan_time.expected(point.run, inputs, root, known))

    good, refused = sweep.possible(line, made, ready)
    for one, own in zip(good, varied([one.point.overrides for one in good]), strict=True):
        one.varied = own
    todo = into.missing(line, [one.point for one in good], before).points if before else [one.point for one in good]
    for one in good:
        one.trained = all(one.point is not other for other in todo)
    workers = pool.workers(line.config, line.sweep.workers, len(todo)) if sweep.own(line) else None
    left_out = [*(Impossible(overrides, error.what) for overrides, error in line.composed[1]), *refused]
    found = Planned(root, made[0].sweep_dir, launcher, workers, good, left_out)
    _clock(found)
    return found


def _clock(found: Planned) -> None:
    """Gives the points to the workers in the order in which they are trained, and sees when the last one ends.

    A worker finds the model loaded where the point before had the same model, hardware and rollout.
    """
    free: list[tuple[float, int, str]] = [(0.0, number, "") for number in range(found.workers or 1)]
    of_point = {id(one.point): one for one in found.todo}
    for point in sweep.together([one.point for one in found.todo]):
        one, held = of_point[id(point)], sweep.shared(point.run)
        at, number, last = heapq.heappop(free)
        one.warm = found.workers is not None and last == held and not point.run.model.full_finetuning
        took = one.time.seconds(one.warm) if one.time else 0.0
        found.seconds += took
        heapq.heappush(free, (at + took, number, held))
    found.wall = max(at for at, _, _ in free)


def show(found: Planned, asked: Asked) -> None:
    """Prints the table, what the points share, and the sum."""
    rows = [_row(one) for one in found.points]
    columns = ["point", "varied", "a step", "memory", "steps", "time"]
    kept = [at for at in range(len(columns)) if any(row[at] for row in rows)]
    show_table([columns[at] for at in kept], [[row[at] for at in kept] for row in rows], folded=("varied",))
    print(f"\na step: sequences = devices x micro-batch x passes\n\n{render(_shared(found, asked))}\n")
    print(render(_sum(found)))


def _row(one: PlannedPoint) -> list[str]:
    run, geometry = one.point.run, one.point.run.geometry
    passes = f"{geometry.devices} x {geometry.per_device_train_batch_size} x {geometry.gradient_accumulation_steps}"
    memory = {Level.passed: "", Level.warning: " (may not fit)"}.get(fits(run).level)
    return [
        one.point.run_dir.name,
        " ".join(one.varied),
        f"{geometry.sequences_per_step} = {passes}",
        f"{describe_total(run.memory, run.hardware)}{memory}" if run.memory and memory is not None else "",
        str(plan_time.steps(run, one.inputs) or "?"),
        "trained already" if one.trained else plan_time.short(one.time, one.warm),
    ]


def _shared(found: Planned, asked: Asked) -> list[tuple[str, str]]:
    """The description that a point has, once: where points differ in a row, how many have which value."""
    described = [
        typed_ids.inserted(describe(one.point.run, one.inputs, found.root), one.point, found.root)
        for one in found.points
    ]
    names = list(dict.fromkeys(name for rows in described for name, _ in rows))
    shared = []
    for name in names:
        texts = Counter("; ".join(value for other, value in rows if other == name) for rows in described)
        if name in ("identity", "a step", "memory") or len(texts) > SHOWN:
            continue
        absent = "its default" if name.startswith("method.") else "none"
        several = "; ".join(f"{text or absent} ({_count(number)})" for text, number in texts.items())
        shared.append((name, next(iter(texts)) if len(texts) == 1 else several))
    first = found.points[0]
    measured = Counter(str([one.point.run.config()[k] for k in ("dataset", "held_out")]) for one in found.points)
    if len(measured) == 1:
        shared += plan_eval.rows(first.point.run, first.inputs, asked, found.root)
    return shared


def _sum(found: Planned) -> list[tuple[str, str]]:
    todo, unfit = found.todo, [one for one in found.todo if fits(one.point.run).level is Level.warning]
    at_once = f"as many at once as {found.launcher} runs" if found.workers is None else f"{found.workers} at once"
    rows = [("points", f"{len(todo)}, {at_once}")]
    if found.unknown == len(todo):
        rows.append(("together", pace.UNKNOWN if todo else "nothing is left to train"))
    else:
        clock = f"{duration(found.seconds)} of work, {duration(found.wall)} by the clock"
        clock = clock if found.workers is not None else f"{duration(found.seconds)} of work"
        without = f"; without {_count(found.unknown)} of which no run of the kind is here yet" if found.unknown else ""
        rows.append(("together", f"about {clock}{without}"))
    if len(todo) < len(found.points):
        rows.append(("trained", f"{_count(len(found.points) - len(todo))} already, and not trained again"))
    lists = [*(one.point.overrides for one in found.points), *(one.overrides for one in found.impossible)]
    common = set.intersection(*map(set, lists))
    for left_out in found.impossible:
        own = [override for override in left_out.overrides if override not in common]
        rows.append(("left out", f"{' '.join(own)}: {left_out.reason}"))
    if unfit:
        named = "; ".join(" ".join(one.varied) for one in unfit[:SHOWN]) + (" ..." if len(unfit) > SHOWN else "")
        rows.append(("warning", f"{len(unfit)} of {len(todo)} points do not fit by the estimate: {named}"))
    return rows


def _count(number: int) -> str:
    return f"{number} point{'s' * (number != 1)}"


def to_json(found: Planned) -> dict[str, Any]:
    """The plan of a sweep as JSON values."""
    return {
        "points": [
            {
                **plan_json.to_json(one.point, one.inputs, found.root),
                "folder": os.path.relpath(one.point.run_dir, found.folder),
                "varied": one.varied,
                "trained": one.trained,
                "time": plan_time.to_json(one.time, one.warm),
            }
            for one in found.points
        ],
        "sweep": {
            "folder": os.path.relpath(found.folder, found.root),
            "launcher": found.launcher,
            "workers": found.workers,
            "todo": len(found.todo),
            "unknown": found.unknown,
            "seconds": round(found.seconds, 1),
            "wall_s": round(found.wall, 1) if found.workers is not None else None,
            "impossible": [{"overrides": one.overrides, "reason": one.reason} for one in found.impossible],
        },
    }
