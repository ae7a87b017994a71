"""``health.jsonl`` of a run folder: every warning and stop of a health rule, an object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rlexp import shapes
from rlexp.errors import RunError, printable
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
    path = run_dir / HEALTH
    if not path.is_file():
        return []
    try:
        found = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{HEALTH} cannot be read: {error}", where=str(path), hint=shapes.HINT) from error
    for number, line in enumerate(found, 1):
        shapes.require(line, LINE, f"line {number} of {HEALTH}", path)
    return [{**line, **{name: printable(line[name]) for name in ("said", "hint")}} for line in found]
