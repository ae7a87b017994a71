"""The report of a sweep: its points, settings with their seeds folded, effects, and curves with bands over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlexp.errors import printable
from rlexp.evaluate.sweeps import told
from rlexp.evaluate.sweeps.points import Row
from rlexp.evaluate.sweeps.reading import Reading
from rlexp.record import go_on, metrics
from rlexp.record.sweeps import BEST
from rlexp.report import charts
from rlexp.report.charts import Chart
from rlexp.report.page import Command, Page, Section, Table
from rlexp.report.verdict import GOOD, OPEN, WARN, Verdict

DRAWN = 8
"""Settings whose curves are drawn, the best first."""


def gather(reading: Reading) -> Page:
    """The page of a sweep that was read."""
    lead = f"{len(reading.rows)} points"
    if reading.metric:
        metric = reading.metric
        lead += f", compared by {metric.name} ({metric.source}), {'higher' if metric.higher else 'lower'} is better"

    return Page(
        "sweep",
        printable(f"Sweep {reading.shown}"),
        printable(lead),
        verdicts=_verdicts(reading),
        sections=[
            _settings(reading),
            _effects(reading),
            _curves(reading),
            _points(reading),
            _failures(reading),
            _commands(reading),
        ],
    )


def _verdicts(reading: Reading) -> list[Verdict]:
    failed = [row for row in reading.rows if row.status != "finished"]
    ended = Verdict(
        "Did its points finish?",
        WARN if failed else GOOD,
        f"{len(reading.rows) - len(failed)} of {len(reading.rows)}",
        "; ".join(f"{row.run_dir.name} {row.status}" for row in failed[:3]) or "Every point came to its end.",
    )
    if not reading.best:
        said = "No point finished and was measured: there is nothing to compare."
        return [Verdict("Which setting is best?", OPEN, "not told", said), ended]
    first, *more = told.best_lines(reading.best, reading.shown, reading.metric.name if reading.metric else "")
    if not reading.best.setting.values:
        return [Verdict("How far do its seeds differ?", OPEN, "one setting", f"{first}."), ended]
    best = Verdict("Which setting is best?", OPEN, told.setting(reading.best.setting.values), f"{first}.")
    if reading.best.second is None:
        why = "No other setting has a run that finished." if reading.best.unfinished else "It is the only setting."
        return [best, Verdict("Is it told from the others?", OPEN, "nothing to compare", why), ended]
    sure = reading.best.found.told
    second = Verdict(
        "Is it told from the others?",
        GOOD if sure else OPEN,
        "yes" if sure else "no",
        "; ".join(line.strip() for line in more[:-1]),
    )
    return [best, second, ended]


def _settings(reading: Reading) -> Section:
    name = reading.metric.name if reading.metric else "metric"
    rows = [
        [
            *(told.text(value) for value in one.values.values()),
            *(one.folded.seeds, one.folded.mean, one.folded.low, one.folded.high),
        ]
        for one in reading.settings
    ]
    head = [*map(told.brief, reading.keys), "seeds", name, "from", "to"]
    tables = [Table(head, rows, about="mean over seeds, 95% intervals", sortable=True)] if rows else []
    return Section("settings", "Settings", list(reading.notes), tables=tables)


def _effects(reading: Reading) -> Section:
    rows: list[list[Any]] = []
    for one in reading.effects:
        apart = {told.text(each.value): each for each in one.differences}
        for level in one.levels:
            found = apart.get(told.text(level.value))
            numbers = [found.mean, found.low, found.high] if found else [None, None, None]
            said = "told" if one.claimed else ", ".join(f"goes with {key}" for key in one.aliased)
            p = one.p_holm
            rows.append([told.brief(one.key), told.text(level.value), level.points, level.mean, *numbers, p, said])
    head = ["key", "value", "points", "mean", "effect", "from", "to", "p, Holm", ""]
    about = "each from the first value, all else equal, 95% intervals"
    return Section("effects", "Effects", tables=[Table(head, rows, about=about, sortable=True)] if rows else [])


def _curves(reading: Reading) -> Section:
    """The settings with the best means, and behind them the runs that did not finish or were not measured, by setting
    and by how they ended."""
    settings: list[tuple[str, Sequence[Row]]] = [(_named(one.values), one.rows) for one in reading.settings]
    counted = {row.run_dir for _, rows in settings for row in rows}
    others: dict[str, list[Row]] = {}
    for row in reading.rows:
        if row.run_dir not in counted:
            ended = "" if row.status == "finished" else f", {row.status}"
            others.setdefault(f"{_named(dict(row.setting))}{ended}", []).append(row)
    unread: list[str] = []
    runs = {
        name: [drawn for row in rows if (drawn := _drawn(row.run_dir, unread))]
        for name, rows in [*settings[:DRAWN], *list(others.items())[:DRAWN]]
    }
    lead = ["A line is the mean of a setting's runs (their number behind it), its band from the lowest to the highest."]
    lead += [f"These are the best {DRAWN} of {len(settings)} settings."] if len(settings) > DRAWN else []
    drawn = charts.folded({name: own for name, own in runs.items() if own})
    return Section("curves", "Curves", [*(lead if drawn else []), *unread], drawn)


def _named(values: Mapping[str, Any]) -> str:
    typed = " ".join(f"{told.brief(key)}={told.text(value)}" for key, value in values.items())
    return printable(typed) or "the one setting"


def _drawn(run_dir: Path, unread: list[str]) -> list[Chart]:
    """The charts of a point; what cannot be read of its metrics is added to ``unread``."""
    entries, wrong, _ = metrics.readable(run_dir)
    unread += [f"{printable(run_dir.name)}: not all of it can be read: {wrong}."] if wrong else []
    return charts.of_entries(entries)


def _points(reading: Reading) -> Section:
    name = reading.metric.name if reading.metric else "metric"
    rows = [
        [
            row.run_dir.name,
            *(None if value is None else value for value in row.values.values()),
            *(row.seed, row.status),
            *((row.metric.before, row.metric.after, row.metric.change) if row.metric else (None, None, None)),
            *(row.steps, row.seconds, None if row.warm is None else "warm" if row.warm else "cold"),
        ]
        for row in reading.rows
    ]
    head = ["point", *map(told.brief, reading.keys), "seed", "status"]
    head += ["before", f"{name} after", "change", "steps", "seconds", "model"]
    return Section("points", "Points", tables=[Table(head, rows, sortable=True)] if rows else [])


def _failures(reading: Reading) -> Section:
    rows = [[row.run_dir.name, row.status, row.reason.partition("\n")[0]] for row in reading.rows if row.reason]
    left = [[" ".join(one.overrides), one.reason] for one in reading.impossible]
    tables = [Table(["point", "status", "why"], rows, "Did not finish")] if rows else []
    tables += [Table(["point", "why"], left, "Left out as impossible")] if left else []
    return Section("failures", "Failures", tables=tables)


def _commands(reading: Reading) -> Section:
    found = [Command("the same in a terminal", go_on.line("sweep", reading.shown))]
    if reading.best:
        found.append(Command("the report of its best run", go_on.line("report", reading.best.row.shown)))
        found.append(Command("makes the best the project's own run", go_on.line("pin", f"{reading.shown}{BEST}")))
    return Section("commands", "Commands", ["Typed in the project's folder."], commands=found)
