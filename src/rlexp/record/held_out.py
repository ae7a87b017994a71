"""``held_out.json`` of a run folder: held-out prompts with their completions before and after, and their rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp import shapes
from rlexp.record import left
from rlexp.shapes import record

FILE = left.HELD_OUT
ANY_TEXT = {"type": "string", "description": "a text"}
REWARD = {"type": ["number", "null"], "description": "a number or null"}
ROW = record(
    {"prompt": ANY_TEXT, "before": ANY_TEXT, "after": ANY_TEXT, "reward_before": REWARD, "reward_after": REWARD},
    {"best": ANY_TEXT, "reward_best": REWARD},
)
SCHEMA = {"type": "array", "items": ROW, "description": "a list of held-out prompts"}
"""The shape of FILE."""


def read(run_dir: Path) -> list[dict[str, Any]]:
    """The rows; none where there is no such file.

    Raises:
        RunError: it cannot be read, or has another shape.
    """
    return shapes.read_json(run_dir / FILE, SCHEMA, "comparison of held-out rows") or []
