"""A finished sweep as a table, read from the manifests of its points."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.console import show_table
from rlexp.errors import RunError
from rlexp.record import status, sweeps
from rlexp.record.run_folder import main_metric, read_manifest

NOT_BEGUN = "not begun"


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


def read(sweep_dir: Path) -> list[SweepPoint]:
    """The points of a sweep: those that were planned, or, where its sweeper made them as it went, those that lie there.

    Raises:
        RunError: ``sweep.json`` has another shape.
    """
    plan = sweeps.read(sweep_dir)
    if plan and plan.points:
        folders = [sweep_dir / point.folder for point in plan.points]
        varied = plan.varied()
    else:
        folders = [path for path in sorted(sweep_dir.iterdir(), key=_number) if _own(path)]
        typed = [(manifest_of(path) or {}).get("overrides", []) for path in folders]
        varied = sweeps.varied(typed)
    return [SweepPoint(path, manifest_of(path), own) for path, own in zip(folders, varied, strict=True)]


def manifest_of(run_dir: Path) -> dict[str, Any] | None:
    """The manifest of a point; of a broken one the status ``unreadable`` and why. None where there is none."""
    try:
        return read_manifest(run_dir)
    except RunError as error:
        return {"status": "unreadable", "reason": error.what}


def show(sweep_dir: Path, points: Sequence[SweepPoint]) -> None:
    """Prints one row for each point: what it varied, its status, its main held-out number before
    and after."""
    rows = []
    for point in points:
        main = main_metric(point.manifest or {})
        numbers = (main[0], f"{main[1]['before']:.3f}", f"{main[1]['after']:.3f}") if main else ("", "", "")
        said = status.sentence(point.manifest) if point.manifest else NOT_BEGUN
        rows.append((point.run_dir.name, " ".join(point.varied), said, *numbers))
    print(os.path.relpath(sweep_dir))
    show_table(("point", "varied", "status", "held out", "before", "after"), rows, folded=("varied", "status"))


def _own(path: Path) -> bool:
    """Whether a folder of a sweep is a point's; attempts that died and claims are none."""
    return path.is_dir() and not path.name.startswith(".") and ".died" not in path.name


def _number(path: Path) -> tuple[bool, int, str]:
    return (not path.name.isdigit(), int(path.name) if path.name.isdigit() else 0, path.name)
