"""How well ``plan`` foresees the time of a run: every finished run of a project against what the others say of it.

Usage: python perf/pace.py [PROJECT ...]. Each run is left out in turn, and its time held against the estimate from the
rest, once with the runs of the same work and once with the similar ones alone.
"""

from __future__ import annotations

import helped  # isort: skip  # noqa: F401
import dataclasses
import statistics
import sys
from pathlib import Path

from rlexp.console import show_table
from rlexp.record import finished, pace


def main() -> None:
    """Prints a row a run, and how far the estimates are off."""
    rows, errors = [], dict[str, list[float]]()
    for root in map(Path, sys.argv[1:] or ["."]):
        known = pace.seen(root)
        for folder in finished.run_folders(root):
            own = [one for one in known if one.folder == folder]
            if not own:
                continue
            (one,) = own
            others = [other for other in known if other.folder != folder]
            run = finished.open(str(folder), root, root).run
            run = dataclasses.replace(run, held_out=dataclasses.replace(run.held_out, rows=one.rows))
            for kept in (others, [other for other in others if other.work != one.work]):
                found = pace.expected(run, one.steps, kept)
                if found is None:
                    continue
                foreseen = found.seconds(one.warm)
                off = foreseen / one.total - 1
                errors.setdefault("similar" if found.similar else "same", []).append(abs(off))
                rows.append([folder.name, f"{one.total:.1f}", f"{foreseen:.1f}", f"{off:+.0%}", found.source])
    show_table(("run", "took (s)", "foreseen", "off", "source"), rows)
    for kind, off_by in errors.items():
        middle, most = statistics.median(off_by), max(off_by)
        print(f"{kind}: {len(off_by)} estimates, median error {middle:.0%}, largest {most:.0%}")


if __name__ == "__main__":
    main()
