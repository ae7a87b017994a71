"""The charts of a report, as data: what is drawn over the steps of a run, and what is marked there. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlexp.errors import printable
from rlexp.report.subjects import MAIN, SUBJECTS

Values = list[float | None]
Entry = Mapping[str, Any]
MOST = 4000
"""Log entries of a run that are drawn; of more every second, third, ... is, and the chart says so."""
MOST_SERIES = 24
"""Lines of a chart; where there are more, it says so."""
DIGITS = 6
"""Digits of a number that a chart shows."""
STEP_TIME = "step_time/"
LARGEST = 2**53
"""A number from which on a step is none."""


@dataclass(frozen=True)
class Series:
    """A line of a chart: a value a place of ``Chart.x``; None where there is none."""

    name: str
    values: Values
    low: Values | None = None
    high: Values | None = None
    """The limits of an interval, or of a band, around it."""
    points: bool = False
    """It was measured at some steps only: points with intervals, not a line with a band."""


@dataclass(frozen=True)
class Mark:
    """What happened at a step."""

    step: int
    text: str
    level: str
    """warn or stop."""


@dataclass(frozen=True)
class Chart:
    """Lines over the same steps."""

    id: str
    title: str
    about: str
    x: list[float]
    series: list[Series]
    smooth: bool = True
    """The values of single steps scatter, and a smoothed line helps to read them."""
    stacked: bool = False
    marks: list[Mark] = field(default_factory=list)
    best: float | None = None
    """The step that was chosen."""
    share: bool = False
    """Its values are shares: they lie in 0 to 1."""


TITLES = {"reward": "Reward", "length": "Mean completion length"}
"""Of those with several lines, what the first is of: it alone is drawn there."""


def of_entries(entries: Sequence[Entry], marks: Sequence[Mark] = ()) -> list[Chart]:
    """The charts of the entries of ``metrics.jsonl``, health events marked on them."""
    kept, note = thinned(entries, {mark.step for mark in marks})
    found = []
    for subject in SUBJECTS:
        keys = [key for key in _keys(kept) if any(_matches(key, pattern) for pattern in subject.keys)]
        order = {key: place for place, pattern in enumerate(subject.keys) for key in keys if _matches(key, pattern)}
        keys.sort(key=lambda key: (order[key], not key.endswith("/reward")))
        x, columns = _columns([(entry["step"], entry) for entry in kept], keys[:MOST_SERIES])
        if not x:
            continue
        about = f"{subject.about}{note}"
        if len(keys) > MOST_SERIES:
            about += f"; {MOST_SERIES} of {len(keys)} lines"
        series = [Series(_short(key), values, points=subject.points) for key, values in columns.items()]
        found.append(
            Chart(subject.id, subject.title, about, x, series, subject.smooth, marks=list(marks), share=subject.share)
        )
    if parts := _step_time(kept, note):
        found.append(parts)
    return found


def thinned(entries: Sequence[Entry], always: set[int]) -> tuple[list[Entry], str]:
    """(the entries with a step that are drawn, what is to be said of that).

    Args:
        always: steps that are drawn in any case.
    """
    own = [entry for entry in entries if type(entry.get("step")) is int and abs(entry["step"]) < LARGEST]
    every = math.ceil(len(own) / MOST)
    if every <= 1:
        return own, ""
    kept = [entry for place, entry in enumerate(own) if place % every == 0 or entry["step"] in always]
    return kept, f"; {len(kept)} of {len(own)} entries are drawn, every {every}. and those of health events"


def number(value: Any) -> float | None:
    """A number that can be drawn, rounded to DIGITS digits; None for what cannot."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        return None
    return float(f"{value:.{DIGITS}g}")


def _keys(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(key for entry in entries for key in entry))


def _matches(key: str, pattern: str) -> bool:
    parts, wanted = key.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(want in ("*", part) for part, want in zip(parts, wanted, strict=True))


def _short(key: str) -> str:
    """A key as a legend shows it: a term by its name."""
    parts = key.split("/")
    if parts[0] in ("rewards", "source") and len(parts) == 3:
        return printable(parts[1])
    return printable(key.removeprefix("completions/").removeprefix("held_out/"))


def _columns(rows: Sequence[tuple[int, Entry]], keys: Sequence[str]) -> tuple[list[float], dict[str, Values]]:
    """(the steps that have a number of one of the keys, key -> its number at each); of two of a step the later."""
    by_step: dict[int, dict[str, float]] = {}
    for step, entry in rows:
        known = {key: found for key in keys if (found := number(entry.get(key))) is not None}
        if known:
            by_step.setdefault(step, {}).update(known)
    steps = sorted(by_step)
    return [float(step) for step in steps], {key: [by_step[step].get(key) for step in steps] for key in keys}


def _step_time(entries: Sequence[Entry], note: str) -> Chart | None:
    """The parts of a step's time, one on the other."""
    timed = [(entry["step"], entry["timing"]) for entry in entries if isinstance(entry.get("timing"), dict)]
    names = [
        key
        for key in dict.fromkeys(key for _, timing in timed for key in timing)
        if key.startswith(STEP_TIME) and key != f"{STEP_TIME}step"
    ]
    x, columns = _columns(timed, names)
    if not x:
        return None
    filled = {name: [value or 0.0 for value in values] for name, values in columns.items()}
    largest = sorted(filled, key=lambda name: -sum(filled[name]))[:MOST_SERIES]
    series = [Series(printable(name.removeprefix(STEP_TIME)), list[float | None](filled[name])) for name in largest]
    return Chart("step_time", "Step time", f"seconds, by part{note}", x, series, smooth=False, stacked=True)


def over(runs: Mapping[str, Sequence[Chart]]) -> list[Chart]:
    """The main charts of several runs, laid over each other: a line a run.

    Args:
        runs: name -> the answer of ``of_entries``.
    """
    found = []
    for id in MAIN:
        own = {name: chart for name, charts in runs.items() for chart in charts if chart.id == id}
        if not own:
            continue
        x = sorted({step for chart in own.values() for step in chart.x})
        lines = [Series(name, _placed(chart.x, chart.series[0].values, x)) for name, chart in own.items()]
        first = next(iter(own.values()))
        found.append(Chart(id, TITLES.get(id, first.title), first.about, x, lines, first.smooth, share=first.share))
    return found


def folded(settings: Mapping[str, Sequence[Sequence[Chart]]]) -> list[Chart]:
    """The main charts of a sweep: of each setting the mean over its seeds, and a band from the lowest to the highest.

    Args:
        settings: name -> of each of its runs the answer of ``of_entries``.
    """
    found = []
    for id in MAIN:
        own = {
            name: charts
            for name, runs in settings.items()
            if (charts := [chart for run in runs for chart in run if chart.id == id])
        }
        if not own:
            continue
        first = next(iter(own.values()))[0]
        x = sorted({step for charts in own.values() for chart in charts for step in chart.x})
        lines = []
        for name, charts in own.items():
            rows = zip(*(_placed(chart.x, chart.series[0].values, x) for chart in charts), strict=True)
            known = [[value for value in row if value is not None] for row in rows]
            means = [number(sum(row) / len(row)) if row else None for row in known]
            low, high = ([limit(row) if row else None for row in known] for limit in (min, max))
            band = len(charts) > 1
            lines.append(Series(f"{name} ({len(charts)})", means, low if band else None, high if band else None))
        found.append(Chart(id, TITLES.get(id, first.title), first.about, x, lines, first.smooth, share=first.share))
    return found


def _placed(x: Sequence[float], values: Values, onto: Sequence[float]) -> Values:
    known = dict(zip(x, values, strict=True))
    return [known.get(step) for step in onto]
