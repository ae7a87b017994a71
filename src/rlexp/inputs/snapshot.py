"""A snapshot: a folder of parquet files, one for each split, and ``snapshot.json`` which describes them.

The description is plain JSON so that ``plan`` can check a data set's columns without opening a parquet file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlexp import files, shapes
from rlexp.errors import RunError
from rlexp.inputs.digest import file_md5, folder_md5
from rlexp.shapes import COUNT, MD5, NAME, PATH, SCRIPT, TEXT, mapping, record

DESCRIPTION = "snapshot.json"
SAME_TYPE = "give every row of a column the same type: text, a number, or a list of messages"
"""What to do about a column that cannot be stored."""


_MADE: dict[str, Any] = {
    "script": SCRIPT,
    "script_md5": MD5,
    "params": mapping({}),
    "files": mapping(MD5, PATH),
    "files_read": mapping(MD5, PATH),
    "recognised": {"type": "array", "items": TEXT, "maxItems": 1000},
}
_HASHED: dict[str, Any] = {"path": PATH, "md5": MD5}
_COUNTED: dict[str, Any] = {"rows": mapping(COUNT, NAME), "columns": mapping(TEXT, TEXT)}
PARTS = mapping(record({**_HASHED, "source": record({}, _MADE)}, _COUNTED), NAME, most=1000)
"""The shape of what a mixture says of the snapshots that it was made of: each as ``digest`` answers it."""
SOURCE = record({}, {**_MADE, "parts": PARTS})
"""The shape of what a description says of where its rows come from; a lock says the same."""
DIGEST = record(_HASHED, {**_COUNTED, "source": SOURCE})
"""The shape of a snapshot in a lock (``digest``)."""
SCHEMA = record(
    {
        "columns": mapping(TEXT, TEXT),
        "splits": mapping(record({"file": NAME, "rows": COUNT}, {"md5": MD5}), NAME),
        "source": SOURCE,
    },
    {"description": TEXT},
)
"""The shape of ``snapshot.json``."""


def write(
    splits: Mapping[str, Sequence[Mapping[str, Any]]], snapshot_dir: Path, description: str, source: dict
) -> Path:
    """Writes ``splits`` (split name -> rows) as a snapshot; the folder appears whole or not at all.

    Args:
        splits: rows by split, ``train`` and ``test``; every row of a split has the same columns.
        snapshot_dir: where the snapshot goes; must not exist yet.
        description: one line that says what the data is.
        source: where the rows come from: script, its hash, parameters, and hub id and commit where there is one.

    Raises:
        RunError: a split is empty, its rows differ in their columns, or the folder exists.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = str(source.get("script", snapshot_dir))
    _check_splits(splits, where)
    if snapshot_dir.exists():
        raise RunError(
            f"{snapshot_dir} exists already; a snapshot is never written over",
            hint="remove it, or choose another dataset.name",
        )
    content: dict[str, Any] = {"description": description, "source": source, "columns": {}, "splits": {}}
    with files.whole_folder(snapshot_dir, first_wins=True) as partial:
        for split, rows in splits.items():
            try:
                table = pa.Table.from_pylist([dict(row) for row in rows])
            except (TypeError, ValueError, OverflowError, pa.ArrowException) as error:
                fault, hint = _faulty_column(rows, error)
                raise RunError(f"the {split} split cannot be stored: {fault}", where=where, hint=hint) from error
            path = partial / f"{split}.parquet"
            pq.write_table(table, path, compression="zstd")
            content["columns"] = {
                name: str(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)
            }
            content["splits"][split] = {"file": path.name, "rows": table.num_rows, "md5": file_md5(path)}
        (partial / DESCRIPTION).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    return snapshot_dir


def _check_splits(splits: Any, where: str) -> None:
    """Checks what a script answered.

    Raises:
        RunError: it is no {split: rows}, has no train split, a split is empty, or its rows differ in their columns.
    """
    wanted = 'return {"train": [{"prompt": ...}, ...], "test": [...]}'
    if not isinstance(splits, Mapping):
        raise RunError(f"rows() answered {_kind(splits)}, not its splits", where=where, hint=wanted)
    if "train" not in splits:
        raise RunError(f"rows() answered no train split, but {', '.join(map(str, splits)) or 'none'}", where, wanted)
    for split, rows in splits.items():
        if not isinstance(split, str) or not split.isidentifier():
            raise RunError(f"{split!r} is no name of a split", where=where, hint=wanted)
        if not isinstance(rows, Sequence) or isinstance(rows, str):
            raise RunError(f"the {split} split is {_kind(rows)}, not a list of rows", where=where, hint=wanted)
        if not rows:
            hint = f"let rows() answer rows of {split}, or leave {split} out"
            raise RunError(f"the {split} split has no rows", where=where, hint=hint)
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise RunError(f"row {number} of the {split} split is {_kind(row)}, not a dict", where, wanted)
            if row.keys() != rows[0].keys():
                raise RunError(
                    f"row {number} of the {split} split has columns {sorted(row)}, the first row {sorted(rows[0])}",
                    where=where,
                    hint="give every row the same columns",
                )


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _faulty_column(rows: Sequence[Mapping[str, Any]], error: Exception) -> tuple[str, str]:
    """The column that cannot be stored, with the first row whose value alone cannot be, and what to do."""
    import pyarrow as pa

    faulty = (TypeError, ValueError, OverflowError, pa.ArrowException)
    for name in rows[0]:
        try:
            pa.array([row[name] for row in rows])
        except faulty as fault:
            for number, row in enumerate(rows):
                try:
                    pa.array([row[name]])
                except faulty as alone:
                    return f"column {name}, row {number} (counted from 0): {alone}", _storable(alone)
            return f"column {name}: {fault}", SAME_TYPE
    return str(error), SAME_TYPE


def _storable(fault: Exception) -> str:
    """What to do about a value that no column can hold."""
    if isinstance(fault, UnicodeError):
        return "leave out what is no character: text.encode('utf-8', 'replace').decode()"
    if isinstance(fault, OverflowError) or "too large" in str(fault) or "out of" in str(fault):
        return "write the number as text: a column holds integers of 64 bits"
    return SAME_TYPE


def faults(snapshot_dir: Path, description: dict[str, Any]) -> list[str]:
    """The files of a snapshot that are not what its description says: missing, edited by hand, or damaged."""
    found = []
    for split in description["splits"].values():
        path = snapshot_dir / split["file"]
        if not path.is_file():
            found.append(f"{split['file']} is missing")
        elif split.get("md5", "") not in ("", file_md5(path)):
            found.append(f"{split['file']} is not the file that was written: edited by hand, or damaged")
    return found


def read(path: Path, columns: Sequence[str] | None = None, rows: int | None = None) -> Any:
    """A parquet file as a ``pyarrow.Table``.

    Args:
        columns: those that are wanted; None for all.
        rows: only so many, from the first; None for all.

    Raises:
        RunError: it cannot be read; the message names it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # read_table would import pyarrow's dataset layer, which takes longer than the reading.
    try:
        with pq.ParquetFile(path) as file:
            batch = next(file.iter_batches(rows, columns=columns), None) if rows else None
            return pa.Table.from_batches([batch]) if batch else file.read(columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise RunError(
            f"{path.name} cannot be read: {str(error).partition(chr(10))[0]}",
            where=str(path),
            hint="the file is damaged or not whole: take it from where it came from, or have it made again",
        ) from error


def write_table(table: Any, path: Path) -> None:
    """Writes a ``pyarrow.Table`` as a parquet file, whole or not at all; equal tables give equal bytes."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole_file(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def digest(path: str, snapshot_dir: Path) -> dict[str, Any]:
    """What a snapshot is, for a lock: its hash, rows, columns and source as they lie on disk now.

    Args:
        path: its folder, from the project folder.
    """
    description = describe(snapshot_dir) or {}
    return {
        "path": path,
        "md5": folder_md5(snapshot_dir),
        "rows": {name: split["rows"] for name, split in description.get("splits", {}).items()},
        "columns": description.get("columns", {}),
        "source": description.get("source", {}),
    }


def describe(snapshot_dir: Path) -> dict[str, Any] | None:
    """The snapshot's description (columns, splits, source), or None where there is no snapshot.

    Raises:
        RunError: the description cannot be read.
    """
    return shapes.read_json(snapshot_dir / DESCRIPTION, SCHEMA, "snapshot's description")
