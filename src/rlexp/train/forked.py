"""The checkpoint that a forked run begins from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp.compose.run import Run


def lineage(run: Run, root: Path) -> dict[str, Any]:
    return {}
