"""A finished sweep as a table, read from the manifests of its points."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rlexp.record import status
from rlexp.record.run_folder import main_metric, read_manifest


@dataclass(frozen=True)
class SweepPoint:
    """One point of a sweep."""

    run_dir: Path
    manifest: dict[str, Any] | None
    """None where it left no record."""
    varied: list[str]
    """The overrides that not every point has."""

    @property
    def finished(self) -> bool:
        """Whether it ran to its end."""
        return self.manifest is not None and self.manifest["status"] == "finished"


def read(sweep_dir: Path, folders: Sequence[Path] = ()) -> list[SweepPoint]:
    """The points of a sweep, as their folders tell them.

    Args:
        sweep_dir: the folder of the sweep.
        folders: those of its points; by default what lies in ``sweep_dir``.
    """
    lie = folders or [path for path in sorted(sweep_dir.iterdir(), key=_number) if path.is_dir()]
    manifests = {path: read_manifest(path) for path in lie}
    typed = [set(manifest["overrides"]) for manifest in manifests.values() if manifest]
    common = set.intersection(*typed) if typed else set()
    return [
        SweepPoint(path, manifest or None, [o for o in (manifest or {}).get("overrides", []) if o not in common])
        for path, manifest in manifests.items()
    ]


def show(sweep_dir: Path, points: Sequence[SweepPoint]) -> None:
    """Prints one row for each point that left a record: what it varied, its status, its main held-out number before
    and after."""
    table = Table(title=os.path.relpath(sweep_dir), title_justify="left", box=None, pad_edge=False)
    for column in ("point", "varied", "status", "held out", "before", "after"):
        table.add_column(column)
    for point in points:
        if point.manifest is None:
            continue
        main = main_metric(point.manifest)
        numbers = (main[0], f"{main[1]['before']:.3f}", f"{main[1]['after']:.3f}") if main else ("", "", "")
        said = escape(status.sentence(point.manifest))
        table.add_row(point.run_dir.name, escape(" ".join(point.varied)), said, *numbers)
    Console(highlight=False, soft_wrap=True).print(table)


def _number(path: Path) -> tuple[bool, int, str]:
    return (not path.name.isdigit(), int(path.name) if path.name.isdigit() else 0, path.name)
