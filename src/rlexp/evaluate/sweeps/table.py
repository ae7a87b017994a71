"""The points of a sweep as a table for other programs: one row a point, a column a varied key; CSV or Parquet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rlexp.errors import RunError
from rlexp.evaluate.sweeps.reading import Reading
from rlexp.files import FULL, whole_file

if TYPE_CHECKING:
    import pandas


def frame(reading: Reading) -> pandas.DataFrame:
    """A row a point: its folder, a column for each varied key, the seed, how it ended, and the metric by its name.

    A key whose values are not all numbers is a column of texts. A varied key that is named like another column has
    ``key.`` before it.
    """
    import pandas

    metric = reading.metric.name if reading.metric else None
    made: dict[str, list[object]] = {"point": [row.shown for row in reading.rows]}
    own: dict[str, list[object]] = {
        "seed": [row.seed for row in reading.rows],
        "status": [row.status for row in reading.rows],
        "reason": [row.reason or None for row in reading.rows],
        "metric": [metric if row.metric else None for row in reading.rows],
        "before": [row.metric.before if row.metric else None for row in reading.rows],
        "after": [row.metric.after if row.metric else None for row in reading.rows],
        "change": [row.metric.change if row.metric else None for row in reading.rows],
        "steps": [row.steps for row in reading.rows],
        "seconds": [row.seconds for row in reading.rows],
        "warm": [row.warm for row in reading.rows],
    }
    for key in reading.keys:
        values = [row.values[key] for row in reading.rows]
        if any(isinstance(value, str) for value in values):
            values = [None if value is None else str(value) for value in values]
        made[f"key.{key}" if key in own or key in made else key] = values
    table = pandas.DataFrame({**made, **own})
    whole = {"seed": "Int64", "steps": "Int64", "warm": "boolean"}
    texts = dict.fromkeys(("status", "reason", "metric"), "string")
    numbers = dict.fromkeys(("before", "after", "change", "seconds"), "Float64")
    return table.astype({**whole, **texts, **numbers})


def require_free(file: Path, where: str) -> None:
    """Checks whether a table can be written into a file that is not there yet.

    Raises:
        RunError: it is there, or its folder is not.
    """
    if os.path.lexists(file):
        raise RunError(f"{file.name} is there already, and is not written over", where, "name another file")
    if not os.path.isdir(file.parent):
        raise RunError(f"there is no folder {file.parent}", where, "make it first, or name another file")


def write(reading: Reading, file: Path, where: str, parquet: bool) -> None:
    """Writes the table; nothing is left where it cannot be.

    Args:
        where: how it was typed.
        parquet: Parquet instead of CSV.

    Raises:
        RunError: it cannot be written.
    """
    table = frame(reading)
    try:
        with whole_file(file) as partial:
            if parquet:
                table.to_parquet(partial, index=False)
            else:
                table.to_csv(partial, index=False)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise RunError(
            f"{file.name} cannot be written: {error.strerror or error}", where, "name another file"
        ) from error
