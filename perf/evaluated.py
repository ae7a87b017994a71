"""What the scripts about evaluations share: a project, the answer of a command in it, and an interval in a cell."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.conftest import copy_project, rlexp


def project(folder: Path) -> Path:
    """A copy of the project in a folder, or the one that is there."""
    return folder if (folder / "conf").is_dir() else copy_project(folder)


def answer(place: Path, *words: str) -> dict[str, Any]:
    """What a command of ``place`` answers with ``--json``.

    Raises:
        SystemExit: it failed.
    """
    done = rlexp(place, *words, "--json", timeout=3600)
    if done.returncode:
        sys.exit(f"python -m rlexp {' '.join(words)}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def interval(found: Mapping[str, Any], sign: str = "") -> str:
    """An estimate or a difference with its 95% interval."""
    return f"{found['mean']:{sign}.3f} [{found['low']:{sign}.3f}, {found['high']:{sign}.3f}]"
