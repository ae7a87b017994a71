"""Rows of your own, from a JSON, JSONL, CSV or parquet file, packed with gzip or not.

Four of TRL's dataset types are understood (https://huggingface.co/docs/trl/dataset_formats). The shape of the rows is
recognised: plain texts, dialogues, ShareGPT, Alpaca, transcripts, verl. All of them come out conversational.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlexp.compose.dataset_id import ENDINGS
from rlexp.errors import RunError, nearest
from rlexp.inputs import read_rows
from rlexp.inputs.rows_of_type import of_type, require_type
from rlexp.inputs.rows_split import check_disjoint, check_same_columns, one_kind_a_column, split_rows

HERE = "data_prep/local.py"
# What was recognised in the rows; the snapshot's description holds it.
recognised: list[str] = []
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

    A dialogue keeps everything of its messages. Where ``chosen``, ``rejected`` or ``completion`` repeat the
    prompt's messages, these are cut off; without a ``prompt``, a preference row's prompt is what both answers share.

    Args:
        file: a ``.jsonl``, ``.json``, ``.csv``, ``.tsv`` or ``.parquet`` file, also with ``.gz``, absolute or from the
            project's folder.
        columns: target name -> the file's name, such as ``{"prompt": "question"}``, or a dotted path,
            ``{"answer": "reward_model.ground_truth"}``.
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
        recognised.extend(one_kind_a_column(own | held_out))
        train_rows, test_rows = list(own.values()), list(held_out.values())
    else:
        recognised.extend(one_kind_a_column(own))
        train_rows, test_rows = split_rows(list(own.values()), test, seed, HERE)
    check_same_columns(train_rows[0], test_rows[0], test_file, HERE)
    return {"train": train_rows, "test": test_rows}


def _read(file: str, columns: dict[str, str], type: str, system: str | None) -> dict[str, Row]:
    """The file's rows by their place in it (``data.jsonl line 3``), in the file's order."""
    path = Path(file).expanduser()
    if not path.name.endswith(ENDINGS):
        raise RunError(
            f"{path.name} is none of {', '.join(ENDINGS)}",
            where=f"{HERE}: file={file}",
            hint="convert it to JSON, one object a line: NAME.jsonl",
        )
    if not path.is_file():
        beside = path.parent.iterdir() if path.parent.is_dir() else []
        near = nearest(path.name, [other.name for other in beside])
        raise RunError(
            f"there is no file {path}",
            where=f"{HERE}: file (looked from {Path.cwd()})",
            hint=f"did you mean {path.with_name(near)}?" if near else "give its path from the project's folder",
        )
    raw, notes = read_rows.read(path)
    recognised.extend(note for note in notes if note not in recognised)
    return of_type(raw, str(path), columns, type, system, notes=recognised)
