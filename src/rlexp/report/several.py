"""The report of several runs: their curves over each other, and what differs between the first and each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from rlexp.compare.changes import changes
from rlexp.compare.same_code import same_code
from rlexp.compare.told import held_out, verdict
from rlexp.errors import RunError, printable
from rlexp.record import go_on, listed, status
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import main_metric
from rlexp.report import charts, facts
from rlexp.report.damage import Damage
from rlexp.report.one import title
from rlexp.report.page import Command, Page, Section, Table
from rlexp.report.verdict import GOOD, OPEN, WARN, Verdict

MOST = 8
"""Runs that can be told apart in one chart."""


def require(runs: Sequence[FinishedRun], typed: Sequence[str]) -> None:
    """Checks that runs can be shown beside each other.

    Raises:
        RunError: there are too many, or one is named twice.
    """
    if len(runs) > MOST:
        hint = f"name {MOST} at most, or the folder of a sweep, whose report folds its seeds"
        raise RunError(f"{len(runs)} runs are too many to be told apart in one chart", " ".join(typed), hint)
    places = [run.run_dir.resolve() for run in runs]
    if twice := next((word for word, place in zip(typed, places, strict=True) if places.count(place) > 1), None):
        raise RunError(f"{twice} is named twice", where=" ".join(typed), hint="leave one of them out")


def gather(runs: Sequence[FinishedRun]) -> Page:
    """The page of runs, the first of them the one that the others are held against.

    Raises:
        RunError: a record cannot be read, or has another shape.
    """
    names = _names(runs)
    damage, logged, unread = Damage(), {}, []
    for name, run in zip(names, runs, strict=True):
        entries, wrong = damage.entries(run)
        logged[name] = charts.of_entries(entries)
        unread += [f"{name}: {one}" for one in wrong]
    sections = [Section("curves", "Curves", unread, charts.over(logged)), _results(runs, names)]
    verdicts = []
    for name, run in zip(names[1:], runs[1:], strict=True):
        found = changes(runs[0], run, same_code(runs[0], run, run.root))
        said = verdict(found, runs[0].lock["identity"] == run.lock["identity"])
        big = list(dict.fromkeys(change.variable for change in found if change.big))
        answer = "nothing that counts" if not big else big[0] if len(big) == 1 else f"{len(big)} variables"
        level = GOOD if len(big) == 1 else WARN if big else OPEN
        verdicts.append(Verdict(f"What changed from {names[0]} to {name}?", level, answer, f"{said}."))
        rows = [
            [one.risk, one.variable, one.key, _value(one.a), _value(one.b), _remark(one.follows, one.note)]
            for one in found
        ]
        head = ["risk", "variable", "what", names[0], name, ""]
        lead = [line] if (line := held_out(runs[0], run, found)) else []
        tables = [Table(head, rows, "Riskiest first", sortable=True)] if rows else []
        where = f"diff-{len(verdicts)}"
        sections.append(Section(where, f"{names[0]} and {name}", [*lead, f"{said}."], tables=tables))
    sections.append(_commands(runs))
    return Page("runs", f"{len(runs)} runs", printable(", ".join(names)), verdicts=verdicts, sections=sections)


def _names(runs: Sequence[FinishedRun]) -> list[str]:
    """The folders without what all of them begin with."""
    places = [printable(go_on.place(run.run_dir, run.root)) for run in runs]
    common = os.path.commonpath([os.path.dirname(place) for place in places]) if len(places) > 1 else ""
    return [os.path.relpath(place, common) if common else place for place in places]


def _results(runs: Sequence[FinishedRun], names: Sequence[str]) -> Section:
    rows: list[list[Any]] = []
    for name, run in zip(names, runs, strict=True):
        main, stands = main_metric(run.manifest), status.of(run.manifest)[0]
        steps = listed.steps_of(run.run_dir, run.manifest, stands)
        numbers = [main[0], main[1]["before"], main[1]["after"], main[1]["after"] - main[1]["before"]] if main else []
        seconds = (run.manifest.get("timings_s") or {}).get("total")
        rest = [run.lock["config"]["seed"], steps[0] if steps else None, seconds]
        rows.append([name, title(run), stands, *(numbers or [None] * 4), *rest])
    head = ["run", "what", "status", "held out", "before", "after", "change", "seed", "steps", "seconds"]
    return Section("results", "Results", tables=[Table(head, rows, sortable=True)])


def _commands(runs: Sequence[FinishedRun]) -> Section:
    places = [go_on.place(run.run_dir, run.root) for run in runs]
    found = [Command("the same in a terminal", go_on.line("diff", places[0], place)) for place in places[1:]]
    found += [Command("the report of one of them", go_on.line("report", place)) for place in places]
    return Section("commands", "Commands", ["Typed in the project's folder."], commands=found)


def _value(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else facts.short(value)


def _remark(follows: str, note: str) -> str:
    return f"follows {follows}" if follows else note
