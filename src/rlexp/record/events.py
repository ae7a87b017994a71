"""``health.jsonl`` of a run folder: every warning and stop of a health rule, an object a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp import shapes
from rlexp.errors import printable
from rlexp.record.run_folder import HEALTH
from rlexp.shapes import COUNT, NAME, TEXT, record

LINE = record(
    {"rule": NAME, "level": {"enum": ["warn", "stop"]}, "step": COUNT, "said": TEXT, "hint": TEXT},
    {"value": {"type": ["number", "null"]}},
)
"""The shape of a line."""


def read(run_dir: Path) -> list[dict[str, Any]]:
    """The events in order, their texts without control characters; none where there is no such file. A line that a kill
    cut in the middle is left out.

    Raises:
        RunError: it cannot be read, or a line has another shape.
    """
    found = shapes.read_lines(run_dir / HEALTH, LINE)
    return [{**line, **{name: printable(line[name]) for name in ("said", "hint")}} for line in found]
