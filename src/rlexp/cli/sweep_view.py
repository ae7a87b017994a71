"""A sweep that was read, on the terminal: points, settings, effects, the best, and what failed."""

from __future__ import annotations

from typing import Any

from rlexp.console import shortened, show_table
from rlexp.errors import printable
from rlexp.evaluate.statistics.effects import Effect
from rlexp.evaluate.sweeps.points import Row
from rlexp.evaluate.sweeps.reading import Reading
from rlexp.evaluate.sweeps.told import best_lines, brief, text

WIDEST = 60
"""Characters of a value in the table of points; --json has it whole."""


def show(found: Reading, written: list[str]) -> None:
    """Prints it."""
    metric, name = found.metric, found.metric.name if found.metric else "metric"
    print(f"{printable(found.shown)}: {len(found.rows)} points")
    heads = ["point", *map(brief, found.keys), "seed", "status", "before", "after", "change", "steps", "time", ""]
    show_table(heads, [_cells(row) for row in found.rows])
    for row in found.rows:
        if row.reason:
            print(printable(f"{row.run_dir.name} {row.status}: {row.reason.splitlines()[0]}"))
    for one in found.impossible:
        print(printable(f"left out: {' '.join(one.overrides)}: {one.reason}"))
    if metric:
        print(f"before, after: {printable(name)} ({metric.source}), {'higher' if metric.higher else 'lower'} is better")
    if found.settings:
        print("\nsettings, mean over seeds, 95% interval")
        rows = [[*map(text, one.values.values()), *_folded(one.folded)] for one in found.settings]
        show_table([*map(brief, found.keys), "seeds", name, ""], rows)
    if found.effects:
        print("\neffects, each from the first value, 95% intervals; p after Holm's correction")
        show_table(
            ["key", "value", "points", "mean", "effect", ""], [row for one in found.effects for row in _effect(one)]
        )
    if found.best:
        print()
        for line in best_lines(found.best, found.shown, name):
            print(printable(line))
    elif found.rows:
        print("\nno point finished and was measured: there is nothing to compare")
    for note in found.notes:
        print(f"note: {printable(note)}")
    if metric and (others := [one for one in metric.others if "." in one]):
        print(f"note: evaluated, too: --metric {printable(', '.join(others))}")
    for file in written:
        print(f"written: {printable(file)}")


def _cells(row: Row) -> list[str]:
    metric = row.metric
    numbers = ["", "", ""]
    if metric:
        numbers = [
            "" if metric.before is None else f"{metric.before:.3f}",
            f"{metric.after:.3f}",
            "" if metric.change is None else f"{metric.change:+.3f}",
        ]
    return [
        row.run_dir.name,
        *(shortened(text(value), WIDEST) for value in row.values.values()),
        text(row.seed),
        row.status,
        *numbers,
        "" if row.steps is None else str(row.steps),
        "" if row.seconds is None else f"{row.seconds:.0f} s",
        "" if row.warm is None else "warm" if row.warm else "cold",
    ]


def _folded(folded: Any) -> list[str]:
    if folded.low is None:
        return [str(folded.seeds), f"{folded.mean:.3f}", folded.method.removeprefix("none: ")]
    return [str(folded.seeds), f"{folded.mean:.3f} [{folded.low:.3f}, {folded.high:.3f}]", ""]


def _effect(one: Effect) -> list[list[str]]:
    """A row a value: the last column says how sure it is, or why nothing is."""
    said = one.method.removeprefix("none: ")
    if one.p_holm is not None:
        said = f"p {one.p_holm:.2g}{', told' if one.claimed else ''}"
    if one.aliased:
        said = f"cannot be told from {', '.join(map(brief, one.aliased))}"
    apart = {text(each.value): each for each in one.differences}
    rows = []
    for place, level in enumerate(one.levels):
        found = apart.get(text(level.value))
        cell = f"{round(found.mean, 3) + 0.0:+.3f}" if found else ""  # no -0.000
        cell += f" [{found.low:+.3f}, {found.high:+.3f}]" if found and found.low is not None else ""
        first = place == 0
        rows.append([brief(one.key) if first else "", text(level.value), str(level.points), f"{level.mean:.3f}", cell])
        rows[-1].append(said if first else "")
    return rows
