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
from rlexp.inputs.digest import file_md5
from rlexp.shapes import COUNT, MD5, NAME, PATH, SCRIPT, TEXT, mapping, record

DESCRIPTION = "snapshot.json"


SCHEMA = record(
    {
        "columns": mapping(TEXT, TEXT),
        "splits": mapping(record({"file": NAME, "rows": COUNT}, {"md5": MD5}), NAME),
        "source": record({}, {"script": SCRIPT, "script_md5": MD5, "params": mapping({}), "files": mapping(MD5, PATH)}),
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

    if snapshot_dir.exists():
        raise RunError(
            f"{snapshot_dir} exists already; a snapshot is never written over",
            hint="remove it, or choose another dataset.name",
        )
    content: dict[str, Any] = {"description": description, "source": source, "columns": {}, "splits": {}}
    with files.whole_folder(snapshot_dir) as partial:
        for split, rows in splits.items():
            if not rows:
                raise RunError(
                    f"the {split} split has no rows",
                    where=str(source.get("script", snapshot_dir)),
                    hint=f"let it yield rows of {split}, or say nothing of this split",
                )
            for number, row in enumerate(rows):
                if row.keys() != rows[0].keys():
                    raise RunError(
                        f"row {number} of the {split} split has columns {sorted(row)}, the first row {sorted(rows[0])}",
                        where=str(source.get("script", snapshot_dir)),
                        hint="give every row the same columns",
                    )
            table = pa.Table.from_pylist([dict(row) for row in rows])
            path = partial / f"{split}.parquet"
            pq.write_table(table, path, compression="zstd")
            content["columns"] = {
                name: str(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)
            }
            content["splits"][split] = {"file": path.name, "rows": table.num_rows, "md5": file_md5(path)}
        (partial / DESCRIPTION).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    return snapshot_dir


def describe(snapshot_dir: Path) -> dict[str, Any] | None:
    """The snapshot's description (columns, splits, source), or None where there is no snapshot.

    Raises:
        RunError: the description cannot be read.
    """
    return shapes.read_json(snapshot_dir / DESCRIPTION, SCHEMA, "snapshot's description")
