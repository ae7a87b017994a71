"""Reads the rows of a file by what stands at its beginning: JSON in lines or as one list, CSV, parquet, any of them
packed with gzip.

A fault of the file is one message with its line and key. What was read otherwise than the file's ending says is noted.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlexp.errors import RunError
from rlexp.inputs.json_layouts import rows_in
from rlexp.inputs.row_values import require_characters, without_shared_keys

Row = dict[str, Any]
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
LINES, LIST = "JSON in lines", "a list of JSON objects"
"""Forms of a JSON file; .jsonl says the first, .json the second."""
PARQUET, GZIP = b"PAR1", b"\x1f\x8b"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""The escape of half a surrogate pair; most of these are one of two that belong together."""
UTF_8 = "save it as UTF-8: iconv -f LATIN1 -t UTF-8 FILE > NEW_FILE, or UTF-16 for LATIN1"


def read(path: Path) -> tuple[dict[str, Row], list[str]]:
    """The rows of a file by their place (``line 3``, or ``row 3`` where rows have no lines), and what was noted.

    Raises:
        RunError: it cannot be read, or a row is malformed; the message names its line, and the key where there is one.
    """
    try:
        content = path.read_bytes()
        notes = ["gzip"] if content.startswith(GZIP) else []
        content = gzip.decompress(content) if notes else content
    except (OSError, EOFError, zlib.error) as error:
        hint = "look at the file's permissions; a packed file may not be whole: take it from where it came from"
        raise RunError(f"the file cannot be read: {error}", where=str(path), hint=hint) from error
    ending = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if content.startswith(PARQUET) or ending == ".parquet":
        return dict(_parquet(content, path)), notes
    text = _text(content, path)
    if ending in (".csv", ".tsv"):
        separator = _separator(text)
        usual = "\t" if ending == ".tsv" else ","
        notes += [f"cells separated by {SEPARATORS[separator]}"] if separator != usual else []
        return dict(_csv(text, path, separator)), notes
    rows, form = _json(text, path)
    usual = LINES if ending == ".jsonl" else LIST
    return rows, notes + ([form] if form not in (usual, "") else [])


def _text(content: bytes, path: Path) -> str:
    if content.startswith(UTF_16):
        raise RunError("the file is UTF-16, not UTF-8 text", where=str(path), hint=UTF_8)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        what = f"the file cannot be read: byte {content[error.start]:#x} is no UTF-8 text"
        raise RunError(what, where=f"{path} line {line}", hint=UTF_8) from error


def _json(text: str, path: Path) -> tuple[dict[str, Row], str]:
    """The rows, and the form in which they stand there: LINES, LIST or another; empty where there are none."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        return {}, ""
    first = lines[0][1].strip()
    if first.startswith("[") or (first.startswith("{") and not _complete(first)):
        whole = _whole(text, path)
        if whole is not None:
            return _numbered(whole, text, path)
    elif len(lines) == 1:
        whole = _parsed(first, path, f"line {lines[0][0]}")
        if isinstance(whole, dict) and rows_in(whole, str(path)) is not None:
            return _numbered(whole, text, path)
    found = {}
    for number, line in lines:
        place = f"line {number}"
        row = _row(_parsed(line.strip(), path, place), path, place)
        found[place] = row
        if HALF.search(line):
            require_characters(row, f"{path} {place}")
    return found, LINES


def _complete(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError as error:
        # A line that goes on behind its object, or that is cut in the middle of a text, is a faulty line.
        return "Extra data" in str(error) or "string" in str(error)
    return True


def _whole(text: str, path: Path) -> Any:
    """The list or object that a file is; None where it is none, and its lines are to be read."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        if "Extra data" in error.msg or text.lstrip().startswith("{"):
            return None
        raise RunError(
            f"the file is not JSON: {error.msg} (character {error.colno})",
            where=f"{path} line {error.lineno}",
            hint="one JSON object a line, or one list of them: [{...}, {...}]",
        ) from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"the file is not read: {error}", where=str(path), hint="name every key once") from error


def _numbered(whole: Any, text: str, path: Path) -> tuple[dict[str, Row], str]:
    """The rows of a file that is one list or one object, by their numbers, and its form."""
    held = rows_in(whole, str(path)) if isinstance(whole, dict) else None
    rows, form = held or (whole if isinstance(whole, list) else [whole], LIST)
    if HALF.search(text):
        for number, row in enumerate(rows, start=1):
            require_characters(row, f"{path} row {number}")
    return {
        f"row {number}": _row(row, path, f"row {number}") for number, row in enumerate(rows, 1)
    }, form if rows else ""


def _parsed(line: str, path: Path, place: str) -> Any:
    try:
        return json.loads(line, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise RunError(
            f"the line is not JSON: {error.msg} (character {error.colno})",
            where=f"{path} {place}",
            hint="one JSON object a line",
        ) from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"the line is not read: {error}", where=f"{path} {place}", hint="name every key once") from error


def _object(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it names {', '.join(sorted({n for n in names if names.count(n) > 1}))} twice")
    return row


def _row(row: Any, path: Path, place: str) -> Row:
    if not isinstance(row, dict):
        what = f"the {place.split()[0]} is not a JSON object"
        raise RunError(what, where=f"{path} {place}", hint='like {"prompt": ...}')
    return row


def _separator(text: str) -> str:
    """What separates the names of the header: what stands there most often outside of quotes, a comma where nothing."""
    header = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").partition("\n")[0])
    return max(SEPARATORS, key=header.count)


def _csv(text: str, path: Path, separator: str) -> Iterator[tuple[str, Row]]:
    # The csv module refuses cells above 128 KiB, which a long completion may well be.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
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
                    hint=f"a text with {SEPARATORS[separator]} or a line break in it must stand in double quotes",
                )
            yield place, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise RunError(
            f"the row is malformed: {error}",
            where=f"{path} line {start}",
            hint='a quote opened there may never close; a quote inside a quoted text is written ""',
        ) from error


def _parquet(content: bytes, path: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise RunError(
            f"the file is not readable as parquet: {error}",
            where=str(path),
            hint="take the file from where it came from; it may not be whole",
        ) from error
    for number, row in enumerate(table.to_pylist(), start=1):
        yield f"row {number}", without_shared_keys(row)
