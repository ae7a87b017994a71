"""The link ``best`` of a run folder: to the weights that were chosen, for people and their tools."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rlexp.chosen import LINK


def point(run_dir: Path, folder: Path) -> None:
    """Has the link lead to a folder of the run, by a relative path; an older link stands until then."""
    partial = run_dir / f".{LINK}.partial"
    partial.unlink(missing_ok=True)
    partial.symlink_to(os.path.relpath(folder, run_dir))
    remove(run_dir, copies=True)
    partial.replace(run_dir / LINK)


def remove(run_dir: Path, copies: bool = False) -> None:
    """Removes the link, where there is one; what it leads to stays.

    Args:
        copies: also a folder in its place, which a copy of the run made of it (``cp -rL``).
    """
    link = run_dir / LINK
    if link.is_symlink():
        link.unlink()
    elif copies and link.is_dir():
        shutil.rmtree(link)
