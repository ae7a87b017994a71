"""``metrics.jsonl`` of a run folder: an object a log entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rlexp.errors import RunError
from rlexp.record.run_folder import METRICS

AS_IT_WAS = "the file is damaged: take it from where it came from, or name another run"


def lines(run_dir: Path) -> list[str]:
    """Its lines; none where there is no such file.

    Raises:
        RunError: it cannot be read.
    """
    path = run_dir / METRICS
    try:
        return path.read_text().splitlines() if path.is_file() else []
    except (OSError, ValueError) as error:
        raise RunError(f"{METRICS} cannot be read: {error}", where=str(path), hint=AS_IT_WAS) from error


def entries(run_dir: Path) -> list[dict[str, Any]]:
    """Every entry; none where there is no such file.

    Raises:
        RunError: it is damaged; the message names the line.
    """
    return [_entry(line, f"{run_dir / METRICS}:{number}") for number, line in enumerate(lines(run_dir), 1)]


def readable(run_dir: Path) -> tuple[list[dict[str, Any]], str, bool]:
    """(the entries that can be read, what is wrong with the others, whether that is no more than a last line which a
    kill or a full disk cut in the middle); of a whole file the sentence is empty."""
    path = run_dir / METRICS
    try:
        found = path.read_bytes().decode(errors="replace").split("\n") if path.is_file() else []
    except OSError as error:
        return [], f"{METRICS} cannot be read: {error.strerror or error}", False
    kept, wrong = [], []
    for number, line in enumerate(found, 1):
        try:
            kept += [_entry(line, "")] if line else []
        except RunError:
            wrong.append(number)
    if not wrong:
        return kept, "", False
    if wrong == [len(found)]:  # the last, and no new line behind it
        return kept, f"the last line of {METRICS} is cut in the middle", True
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return kept, f"line {wrong[0]}{more} of {METRICS} cannot be read", False


def _entry(line: str, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise RunError(f"a line of {METRICS} is no entry", where=where, hint=AS_IT_WAS)
    return entry
