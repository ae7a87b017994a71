"""Artifacts of the tiny model, for the tests of formats and runtimes."""

from __future__ import annotations

from pathlib import Path

from rlexp.export.formats import Made, Making, make

TINY = Path(__file__).resolve().parents[2] / "models" / "tiny"


def made(name: str, kind: str, folder: Path, merged: Path = TINY, device: str = "cpu") -> Made:
    """Makes an artifact in an empty folder."""
    folder.mkdir(exist_ok=True)
    return make(name, Making(merged, folder, kind, None, list, device))
