"""Rows of your own, from a JSONL, CSV or parquet file.

Four of TRL's dataset types are understood (https://huggingface.co/docs/trl/dataset_formats). Plain text and, in JSONL
and parquet, conversational columns are both taken; both come out conversational.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlexp.errors import RunError, nearest
from rlexp.inputs.rows_of_type import of_type, require_type
from rlexp.inputs.rows_split import check_disjoint, check_one_kind_a_column, check_same_columns, split_rows

HERE = "data_prep/local.py"
Row = dict[str, Any]


def rows(
    file: str,
    columns: Mapping[str, str] | None = None,
    type: str = "prompt_only",
    test: float | int = 0.1,
    test_file: str | None = None,
    seed: int = 0,
    system: str | None = None,
) -> dict[str, list[dict]]:
    """Rows of a TRL dataset type; every other column is kept as metadata (lists and objects as JSON text).

    A dialogue keeps its messages' ``role`` and ``content``. Where ``chosen``, ``rejected`` or ``completion`` repeat the
    prompt's messages, these are cut off; without a ``prompt``, a preference row's prompt is what both answers share.

    Args:
        file: a ``.jsonl``, ``.csv`` or ``.parquet`` file, absolute or from the project's folder.
        columns: target name -> the file's name, such as ``{"prompt": "question"}``.
        type: prompt_only, preference, prompt_completion or unpaired_preference.
        test: the share (0.1) or the number (200) of rows to hold out. Rows with the same prompt stay together, so a few
            more than asked may be held out.
        test_file: a file of held-out rows, of the same form; ``test`` is then not read.
        seed: draws the held-out rows.
        system: a system message to put before every prompt that has none.

    Raises:
        RunError: a file or column that is not there, a malformed line (named), empty texts or equal answers (named),
            or a split without rows.
    """
    require_type(type, HERE)
    own = _read(file, dict(columns or {}), type, system)
    if test_file is not None:
        held_out = _read(test_file, dict(columns or {}), type, system)
        check_disjoint(own, held_out, test_file)
        train_rows, test_rows = list(own.values()), list(held_out.values())
    else:
        train_rows, test_rows = split_rows(list(own.values()), test, seed, HERE)
    check_same_columns(train_rows[0], test_rows[0], test_file, HERE)
    check_one_kind_a_column(train_rows + test_rows, HERE)
    return {"train": train_rows, "test": test_rows}


def _read(file: str, columns: dict[str, str], type: str, system: str | None) -> dict[str, Row]:
    """The file's rows by their place in it (``data.jsonl line 3``), in the file's order."""
    path = Path(file).expanduser()
    readers = {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise RunError(
            f"{path.name} is none of {', '.join(readers)}",
            where=f"{HERE}: file={file}",
            hint="convert it; a .json list becomes .jsonl with one object a line",
        )
    if not path.is_file():
        beside = path.parent.iterdir() if path.parent.is_dir() else []
        near = nearest(path.name, [other.name for other in beside])
        raise RunError(
            f"there is no file {path}",
            where=f"{HERE}: file (looked from {Path.cwd()})",
            hint=f"did you mean {path.with_name(near)}?" if near else "give its path from the project's folder",
        )
    try:
        raw = dict(readers[path.suffix](path))
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"the file cannot be read: {error}", where=str(path), hint="it must be UTF-8 text") from error
    return of_type(raw, str(path), columns, type, system)


def _read_jsonl(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.rstrip())
            except json.JSONDecodeError as error:
                raise RunError(
                    f"the line is not JSON: {error.msg} (character {error.colno})",
                    where=f"{path} line {number}",
                    hint="one JSON object a line",
                ) from error
            if not isinstance(row, dict):
                raise RunError(
                    "the line is not a JSON object", where=f"{path} line {number}", hint='like {"prompt": ...}'
                )
            yield f"line {number}", row


def _read_csv(path: Path) -> Iterator[tuple[str, Row]]:
    # The csv module refuses cells above 128 KiB, which a long completion may well be.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        start = 1
        try:
            header = next(reader, [])
            if not any(name.strip() for name in header):
                raise RunError("the header is missing", where=f"{path} line 1", hint="the first line names the columns")
            twice = sorted({name for name in header if header.count(name) > 1})
            if twice:
                raise RunError(f"the header names {', '.join(twice)} twice", where=f"{path} line 1", hint="rename one")
            start = reader.line_num + 1
            for cells in reader:
                place, start = f"line {start}", reader.line_num + 1
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise RunError(
                        f"the row has {len(cells)} cells, the header {len(header)}",
                        where=f"{path} {place}",
                        hint="a text with a comma or a line break in it must stand in double quotes",
                    )
                yield place, dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise RunError(
                f"the row is malformed: {error}",
                where=f"{path} line {start}",
                hint='a quote opened there may never close; a quote inside a quoted text is written ""',
            ) from error


def _read_parquet(path: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise RunError(f"the file is not readable as parquet: {error}", where=str(path)) from error
    for number, row in enumerate(table.to_pylist(), start=1):
        yield f"row {number}", row
