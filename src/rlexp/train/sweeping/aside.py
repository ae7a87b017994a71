"""A point's folder that is begun anew: what was there is kept beside it."""

from __future__ import annotations

from pathlib import Path

DIED = ".died"
"""Stands behind the folder of an attempt whose process died, or that did not finish."""


def aside(folder: Path) -> None:
    """Renames a folder, where there is one, out of the way of the next attempt."""
    number = 1
    while (place := folder.with_name(f"{folder.name}{DIED}{number if number > 1 else ''}")).exists():
        number += 1
    if folder.is_dir():
        folder.rename(place)
