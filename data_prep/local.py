"""Rows of your own, from a JSONL, CSV or parquet file.

Four of TRL's dataset types are understood (https://huggingface.co/docs/trl/dataset_formats). Plain text and, in JSONL
and parquet, conversational columns are both taken; both come out conversational.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlexp.errors import RunError, nearest

HERE = "data_prep/local.py"
# The texts of each of TRL's dataset types, and the role that speaks them.
TYPES: dict[str, dict[str, str]] = {
    "prompt_only": {"prompt": "user"},
    "preference": {"prompt": "user", "chosen": "assistant", "rejected": "assistant"},
    "prompt_completion": {"prompt": "user", "completion": "assistant"},
    "unpaired_preference": {"prompt": "user", "completion": "assistant"},
}
ROLES = ("system", "user", "assistant", "tool")
LABELS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
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
    if type not in TYPES:
        raise RunError(
            f"there is no dataset type {type!r}",
            where=f"{HERE}: type",
            hint=f"choose one of {', '.join(TYPES)} (nearest: {nearest(type, TYPES) or 'none'})",
        )
    own = _read(file, dict(columns or {}), type, system)
    if test_file is not None:
        held_out = _read(test_file, dict(columns or {}), type, system)
        _check_disjoint(own, held_out, test_file)
        train_rows, test_rows = list(own.values()), list(held_out.values())
    else:
        train_rows, test_rows = _split(list(own.values()), test, seed)
    _check_same_columns(train_rows[0], test_rows[0], test_file)
    _check_one_kind_a_column(train_rows + test_rows)
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
        raw = {f"{path} {place}": row for place, row in readers[path.suffix](path)}
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"the file cannot be read: {error}", where=str(path), hint="it must be UTF-8 text") from error
    if not raw:
        raise RunError("the file has no rows", where=str(path))
    names = list(dict.fromkeys(name for row in raw.values() for name in row))
    sources = _sources(names, columns, type, path)
    read = {place: _row(row, sources, type, system, place) for place, row in raw.items()}
    faulty = {
        f"an empty {name}": [place for place, row in read.items() if not row[name][-1]["content"].strip()]
        for name in TYPES[type]
    }
    if type == "preference":
        same = [place for place, row in read.items() if row["chosen"] == row["rejected"]]
        faulty["no preference: chosen and rejected are the same"] = same
    for fault, places in faulty.items():
        if places:
            shown = ", ".join(place.removeprefix(f"{path} ") for place in places[:5])
            raise RunError(
                f"{len(places)} rows have {fault}",
                where=f"{path}: {shown}{', ...' if len(places) > 5 else ''}",
                hint="mend these rows or remove them",
            )
    return read


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


def _sources(names: list[str], columns: dict[str, str], type: str, path: Path) -> dict[str, str]:
    """Target name -> the file's name, for every column that is kept."""
    for target, source in columns.items():
        if source not in names:
            near = nearest(source, names)
            turned = {source: target for target, source in columns.items()}
            if set(turned.values()) <= set(names):
                raise RunError(
                    f"the column map is the wrong way round: the file has {target!r}, not {source!r}",
                    where=f"{path} has {', '.join(names)}",
                    hint=f"type {_shown(turned)}: what is needed first, then its name in the file",
                )
            raise RunError(
                f"the column map takes {target!r} from {source!r}, which the file has not",
                where=f"{path} has {', '.join(names)}",
                hint=f"did you mean {_typed(columns, target, near)}?" if near else f"name one of: {', '.join(names)}",
            )
    mapped = set(columns.values())
    sources = {**{name: name for name in names if name not in mapped}, **columns}
    needed = [*TYPES[type], *(["label"] if type == "unpaired_preference" else [])]
    for name in needed:
        if name in sources or (name == "prompt" and type == "preference"):
            continue
        near = nearest(name, [other for other in names if other not in needed and other not in mapped])
        raise RunError(
            f"the dataset type {type} needs a column {name!r}",
            where=f"{path} has {', '.join(names)}",
            hint=f"map it: {_typed(sources, name, near or 'ITS_NAME_IN_THE_FILE')}",
        )
    return sources


def _typed(columns: Mapping[str, str], target: str, source: str) -> str:
    """The column map with ``target`` in it, as typed in a shell; `columns` is null at first, so it is given whole."""
    return _shown({**columns, target: source})


def _shown(columns: Mapping[str, str]) -> str:
    renamed = {target: source for target, source in columns.items() if target != source}
    # Hydra reads plain ASCII words without quotes; other names need them.
    quoted = {t: s if s.isascii() and s.isidentifier() else f'"{s}"' for t, s in renamed.items()}
    return f"'dataset.params.columns={{{', '.join(f'{t}: {s}' for t, s in quoted.items())}}}'"


def _row(raw: Row, sources: dict[str, str], type: str, system: str | None, place: str) -> Row:
    values = {target: raw.get(source) for target, source in sources.items()}
    if type == "preference" and "prompt" not in sources:
        values["prompt"] = _shared_start(values["chosen"], values["rejected"], sources, place)
    texts = {name: _messages(values.pop(name), role, f"{place}: {name}") for name, role in TYPES[type].items()}
    prompt = texts["prompt"]
    if prompt[-1]["role"] != "user":
        raise RunError(
            f"the prompt ends with a message of the {prompt[-1]['role']}",
            where=f"{place}: prompt",
            hint="a prompt ends where the assistant is to answer: with a message of the user",
        )
    for name, messages in texts.items():
        if name != "prompt":
            texts[name] = messages[len(prompt) :] if messages[: len(prompt)] == prompt else messages
            roles = [message["role"] for message in texts[name]]
            if not roles or "user" in roles or roles[-1] != "assistant":
                raise RunError(
                    "the dialogue is not an answer to the prompt",
                    where=f"{place}: {name}",
                    hint="it ends with the assistant's message, and may hold the prompt's own before the answer",
                )
    if type == "unpaired_preference":
        texts["label"] = _label(values.pop("label"), place)
    if system and prompt[0]["role"] != "system":
        texts["prompt"] = [{"role": "system", "content": system}, *prompt]
    return {**texts, **{name: _metadata(value) for name, value in values.items()}}


def _shared_start(chosen: Any, rejected: Any, sources: dict[str, str], place: str) -> Any:
    if not isinstance(chosen, list) or not isinstance(rejected, list):
        raise RunError(
            "there is no column 'prompt', and plain answers do not hold one",
            where=place,
            hint=f"map it: {_typed(sources, 'prompt', 'ITS_NAME_IN_THE_FILE')}",
        )
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if not shared:
        raise RunError(
            "there is no column 'prompt', and the two answers do not start with the same messages",
            where=place,
            hint=f"map the prompt: {_typed(sources, 'prompt', 'ITS_NAME_IN_THE_FILE')}",
        )
    return chosen[:shared]


def _messages(value: Any, role: str, where: str) -> list[dict[str, str]]:
    """A dialogue of role and content; plain text becomes one message of ``role``, and so does an empty cell."""
    if value is None or isinstance(value, str):
        return [{"role": role, "content": value or ""}]
    whole = isinstance(value, list) and value and all(isinstance(message, dict) for message in value)
    if not whole or any(m.get("role") not in ROLES or not isinstance(m.get("content"), str) for m in value):
        raise RunError(
            "neither a text nor a dialogue",
            where=where,
            hint=f'a dialogue is [{{"role": "{role}", "content": "..."}}], its roles among {", ".join(ROLES)}',
        )
    return [{"role": message["role"], "content": message["content"]} for message in value]


def _label(value: Any, place: str) -> bool:
    label = LABELS.get(str(value).strip().lower())
    if label is None:
        raise RunError(f"{value!r} is no label", where=f"{place}: label", hint="write true or false, or 1 or 0")
    return label


def _metadata(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    # A Decimal or a date (parquet) is plain text; as JSON it would stand in quotes that no reward expects.
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _prompt_key(row: Row) -> str:
    return json.dumps(row["prompt"], ensure_ascii=False)


def _split(all_rows: list[Row], test: float | int, seed: int) -> tuple[list[Row], list[Row]]:
    if isinstance(test, float) and not 0 < test < 1:
        raise RunError(
            f"test={test} is neither a share nor a number of rows",
            where=f"{HERE}: test",
            hint="a share lies between 0 and 1, such as 0.1; a number of rows is written whole, such as 200",
        )
    wanted = round(test * len(all_rows)) if isinstance(test, float) else test
    groups: dict[str, list[Row]] = {}
    for row in all_rows:
        groups.setdefault(_prompt_key(row), []).append(row)
    keys = list(groups)
    random.Random(seed).shuffle(keys)
    held_out: set[str] = set()
    count = 0
    while count < wanted and keys:
        key = keys.pop()
        held_out.add(key)
        count += len(groups[key])
    if not held_out or not keys:
        raise RunError(
            f"test={test} leaves a split without rows: the file has {len(all_rows)} rows of {len(groups)} prompts",
            where=f"{HERE}: test",
            hint="give a share between 0 and 1 or a number below the number of prompts, or name a test_file",
        )
    train_rows = [row for row in all_rows if _prompt_key(row) not in held_out]
    return train_rows, [row for row in all_rows if _prompt_key(row) in held_out]


def _check_disjoint(own: dict[str, Row], held_out: dict[str, Row], test_file: str) -> None:
    prompts = {_prompt_key(row) for row in held_out.values()}
    shared = [place for place, row in own.items() if _prompt_key(row) in prompts]
    if shared:
        raise RunError(
            f"{len(shared)} training rows have a prompt of {test_file}",
            where=", ".join(shared[:5]) + (", ..." if len(shared) > 5 else ""),
            hint="remove them from one of the two files",
        )


def _check_same_columns(train_row: Row, test_row: Row, test_file: str | None) -> None:
    different = sorted(train_row.keys() ^ test_row.keys())
    if different:
        raise RunError(
            f"only one of the two files has {', '.join(different)}",
            where=f"{HERE}: test_file={test_file}",
            hint="give both files the same columns",
        )


def _check_one_kind_a_column(all_rows: list[Row]) -> None:
    """A snapshot holds one kind of value a column; said here, the message can show the values."""
    for name in {name: None for row in all_rows for name in row}:
        kinds: dict[str, Any] = {}
        for row in all_rows:
            value = row.get(name)
            kind = (
                "number" if isinstance(value, int | float) and not isinstance(value, bool) else value.__class__.__name__
            )
            if value is not None:
                kinds.setdefault(kind, value)
        if len(kinds) > 1:
            shown = " and ".join(f"{kind} ({str(value)[:40]!r})" for kind, value in kinds.items())
            raise RunError(
                f"the column {name!r} mixes kinds: {shown}",
                where=f"{HERE}: file",
                hint="make them all text in the file",
            )
