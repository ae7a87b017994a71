"""A finished sweep as a table, read from the manifests of its points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rlexp.record import status
from rlexp.record.run_folder import main_metric, read_manifest


def show(sweep_dir: Path, folders: Sequence[Path] = ()) -> int:
    """Prints one row for each point: what it varied, its status, its main held-out number before and after.

    Args:
        sweep_dir: the folder of the sweep.
        folders: those of its points; by default what lies in ``sweep_dir``.

    Returns:
        0 when every point finished, else 1.
    """
    lie = folders or [path for path in sorted(sweep_dir.iterdir(), key=_number) if path.is_dir()]
    manifests = [(path.name, manifest) for path in lie if (manifest := read_manifest(path))]
    common = set.intersection(*(set(manifest["overrides"]) for _, manifest in manifests)) if manifests else set()
    table = Table(title=str(sweep_dir), title_justify="left", box=None, pad_edge=False)
    for column in ("point", "varied", "status", "held out", "before", "after"):
        table.add_column(column)
    for name, manifest in manifests:
        varied = " ".join(o for o in manifest["overrides"] if o not in common)
        main = main_metric(manifest)
        numbers = (main[0], f"{main[1]['before']:.3f}", f"{main[1]['after']:.3f}") if main else ("", "", "")
        table.add_row(name, escape(varied), escape(status.sentence(manifest)), *numbers)
    Console(highlight=False, soft_wrap=True).print(table)
    finished = sum(manifest["status"] == "finished" for _, manifest in manifests)
    return int(finished < len(lie))


def _number(path: Path) -> tuple[bool, int, str]:
    return (not path.name.isdigit(), int(path.name) if path.name.isdigit() else 0, path.name)
