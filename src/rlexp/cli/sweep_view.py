"""A sweep that was read, on the terminal: points, settings, effects, the best, and what failed."""

from __future__ import annotations

from typing import Any

from rlexp.console import shortened, show_table
from rlexp.errors import printable
from rlexp.evaluate.statistics.effects import Effect
from rlexp.evaluate.sweeps.points import Row
from rlexp.evaluate.sweeps.reading import Best, Reading
from rlexp.record.sweeps import BEST

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


def best_lines(best: Best, shown: str, metric: str) -> list[str]:
    """What is known of the best setting, and what to type next."""
    found, folded = best.found, best.setting.folded
    lines = [f"best: {setting(best.setting.values)}, {metric} {folded.mean:.3f} over {_seeds(folded.seeds)}"]
    corrected, low, high = best.corrected
    if best.second is None:
        lines[0] += "; it is the only setting"
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
