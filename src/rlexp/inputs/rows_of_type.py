"""Rows of one's own as rows of a TRL dataset type: columns mapped, texts made messages, faults named by their place.

Four types are understood (https://huggingface.co/docs/trl/dataset_formats). It is what data_prep/local.py and
data_prep/hub.py have in common: a script may not import another one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from rlexp.errors import RunError, nearest
from rlexp.inputs.messages import Dialogues, Message, stored
from rlexp.inputs.row_answers import one_answer
from rlexp.inputs.row_columns import mapped, require_columns, require_needed, typed
from rlexp.inputs.row_shapes import reshaped

# The texts of each of TRL's dataset types, and the role that speaks them.
TYPES: dict[str, dict[str, str]] = {
    "prompt_only": {"prompt": "user"},
    "preference": {"prompt": "user", "chosen": "assistant", "rejected": "assistant"},
    "prompt_completion": {"prompt": "user", "completion": "assistant"},
    "unpaired_preference": {"prompt": "user", "completion": "assistant"},
}
# Their columns; the prompt of a pair may be what both answers begin with.
NEEDED = {
    "prompt_only": ["prompt"],
    "preference": ["chosen", "rejected"],
    "prompt_completion": ["prompt", "completion"],
    "unpaired_preference": ["prompt", "completion", "label"],
}
LABELS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
Row = dict[str, Any]


def require_type(type: str, where: str) -> None:
    """Checks the name of a dataset type.

    Raises:
        RunError: there is none of that name.
    """
    if type not in TYPES:
        raise RunError(
            f"there is no dataset type {type!r}",
            where=f"{where}: type",
            hint=f"choose one of {', '.join(TYPES)} (nearest: {nearest(type, TYPES) or 'none'})",
        )


def of_type(
    raw: Mapping[str, Row],
    held: str,
    columns: dict[str, str],
    type: str,
    system: str | None,
    what: str = "the file",
    notes: list[str] | None = None,
) -> dict[str, Row]:
    """Rows of a dataset type by their place, in the same order; other columns are kept, lists and objects as JSON text.

    Args:
        raw: rows as they were read, by their place (``line 3``).
        held: where they were read from, for messages: the file's path, or the data set's id and split.
        columns: target name -> its name there, or the dotted path of a value in an object.
        type: one of TYPES.
        system: a system message to put before every prompt that has none.
        what: how a message calls what holds them.
        notes: what was recognised is added to it, each thing once.

    Raises:
        RunError: there are no rows, a column is not there, a row is malformed, or texts are empty or answers equal.
    """
    if not raw:
        raise RunError(f"{what} has no rows", where=held, hint="name another file or split, one that has some")
    names = list(dict.fromkeys(name for row in raw.values() for name in row))
    require_columns(raw, names, columns, held, what)
    rows = {place: mapped(row, columns) for place, row in raw.items()}
    dialogues = Dialogues()
    rows, said = reshaped(rows, columns, type, dialogues, held)
    present = list(dict.fromkeys(name for row in rows.values() for name in row))
    require_needed(NEEDED[type], present, names, columns, f"the dataset type {type}", held)
    read = {}
    for place, row in rows.items():
        one = _row({name: row.get(name) for name in present}, type, system, dialogues, f"{held} {place}", columns, said)
        read[f"{held} {place}"] = one
    dialogues.require_one_form()
    if notes is not None:
        notes += [note for note in (*said, *dialogues.said()) if note not in notes]
    _require_texts(read, type, held)
    return read


def _require_texts(read: dict[str, Row], type: str, held: str) -> None:
    """Checks that no text is empty, and that the answers of a pair differ.

    Raises:
        RunError: some rows fail it; the message names the first of them.
    """
    faulty = {
        f"an empty {name}": [place for place, row in read.items() if _is_empty(row[name][-1])] for name in TYPES[type]
    }
    if type == "preference":
        same = [place for place, row in read.items() if row["chosen"] == row["rejected"]]
        faulty["no preference: chosen and rejected are the same"] = same
    for fault, places in faulty.items():
        if places:
            shown = ", ".join(place.removeprefix(f"{held} ") for place in places[:5])
            raise RunError(
                f"{len(places)} rows have {fault}",
                where=f"{held}: {shown}{', ...' if len(places) > 5 else ''}",
                hint="mend these rows or remove them",
            )


def _is_empty(message: Message) -> bool:
    return not message["content"].strip() and "tool_calls" not in message


def _row(
    row: Row,
    type: str,
    system: str | None,
    dialogues: Dialogues,
    place: str,
    columns: Mapping[str, str],
    said: list[str],
) -> Row:
    values = dict(row)
    texts: dict[str, Any] = {
        name: dialogues.read(values.pop(name), role, place, name) for name, role in TYPES[type].items() if name in row
    }
    if "prompt" not in texts:
        texts = {"prompt": _shared_start(texts["chosen"], texts["rejected"], columns, place), **texts}
    prompt = texts["prompt"]
    if prompt[-1]["role"] != "user":
        raise RunError(
            f"the prompt ends with a message of the {prompt[-1]['role']}",
            where=f"{place}: prompt",
            hint="a prompt ends where the assistant is to answer: with a message of the user",
        )
    for name, messages in texts.items():
        if name != "prompt":
            texts[name] = _answer(messages, prompt, f"{place}: {name}")
    if type == "unpaired_preference":
        texts["label"] = _label(values.pop("label"), place)
    if system and prompt[0]["role"] != "system":
        texts["prompt"] = [{"role": "system", "content": system}, *prompt]
    if "answer" in values:
        source = columns.get("answer", "answer")
        values["answer"] = one_answer(values["answer"], f"{place}: {source}", source, columns, said)
    return {**{n: stored(t) if n != "label" else t for n, t in texts.items()}, **_kept(values, place)}


def _answer(messages: list[Message], prompt: list[Message], where: str) -> list[Message]:
    """An answer without the prompt's messages, where it repeats them."""
    answer = messages[len(prompt) :] if messages[: len(prompt)] == prompt else messages
    roles = [message["role"] for message in answer]
    if "user" in roles[:-1] and roles[-1] == "assistant":
        raise RunError(
            "a message of the user stands inside an answer, which is not supported: the dialogue is not an answer to "
            "the prompt",
            where=where,
            hint="cut the dialogue: what comes before belongs into the prompt; a pair ends with the first answer that "
            "differs",
        )
    if not roles or "user" in roles or roles[-1] != "assistant":
        raise RunError(
            "the dialogue is not an answer to the prompt",
            where=where,
            hint="it ends with the assistant's message, and may hold the prompt's own before the answer",
        )
    return answer


def _shared_start(
    chosen: list[Message], rejected: list[Message], columns: Mapping[str, str], place: str
) -> list[Message]:
    if len(chosen) == len(rejected) == 1:
        raise RunError(
            "there is no column 'prompt', and plain answers do not hold one",
            where=place,
            hint=f"map it: {typed(columns, 'prompt', 'ITS_NAME_THERE')}",
        )
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if shared and chosen[shared - 1]["role"] != "user":  # calls of tools that both answers begin with
        users = [number for number, turn in enumerate(chosen[:shared], start=1) if turn["role"] == "user"]
        shared = users[-1] if users else 0
    if not shared:
        raise RunError(
            "there is no column 'prompt', and the two answers do not start with the same messages",
            where=place,
            hint=f"map the prompt: {typed(columns, 'prompt', 'ITS_NAME_THERE')}",
        )
    return chosen[:shared]


def _label(value: Any, place: str) -> bool:
    label = LABELS.get(str(value).strip().lower())
    if label is None:
        raise RunError(f"{value!r} is no label", where=f"{place}: label", hint="write true or false, or 1 or 0")
    return label


def _kept(values: Row, place: str) -> Row:
    """The other columns of a row, the tools that it may call among them."""
    if tools := values.get("tools"):
        try:
            tools = json.loads(tools) if isinstance(tools, str) else tools
        except (ValueError, RecursionError):
            tools = None
        if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
            raise RunError(
                "tools are no list of JSON schemas",
                where=f"{place}: tools",
                hint='write [{"type": "function", "function": {"name": "add", "parameters": {...}}}], or name the '
                "column otherwise",
            )
        values = {**values, "tools": tools or None}
    return {name: _metadata(value) for name, value in values.items()}


def _metadata(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None  # how pandas writes a cell that is empty
    if value is None or isinstance(value, str | bool | int | float):
        return value
    # A Decimal or a date (parquet) is plain text; as JSON it would stand in quotes that no reward expects.
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
