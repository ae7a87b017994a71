"""Rows of one's own as rows of a TRL dataset type: columns mapped, texts made messages, faults named by their place.

Four types are understood (https://huggingface.co/docs/trl/dataset_formats). It is what data_prep/local.py and
data_prep/hub.py have in common: a script may not import another one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rlexp.errors import RunError, nearest

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
    raw: Mapping[str, Row], held: str, columns: dict[str, str], type: str, system: str | None, what: str = "the file"
) -> dict[str, Row]:
    """Rows of a dataset type by their place, in the same order; other columns are kept, lists and objects as JSON text.

    Args:
        raw: rows as they were read, by their place (``line 3``).
        held: where they were read from, for messages: the file's path, or the data set's id and split.
        columns: target name -> its name there.
        type: one of TYPES.
        system: a system message to put before every prompt that has none.
        what: how a message calls what holds them.

    Raises:
        RunError: there are no rows, a column is not there, a row is malformed, or texts are empty or answers equal.
    """
    if not raw:
        raise RunError(f"{what} has no rows", where=held, hint="name another file or split, one that has some")
    names = list(dict.fromkeys(name for row in raw.values() for name in row))
    sources = _sources(names, columns, type, held, what)
    read = {f"{held} {place}": _row(row, sources, type, system, f"{held} {place}") for place, row in raw.items()}
    faulty = {
        f"an empty {name}": [place for place, row in read.items() if not row[name][-1]["content"].strip()]
        for name in TYPES[type]
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
    return read


def _sources(names: list[str], columns: dict[str, str], type: str, held: str, what: str) -> dict[str, str]:
    """Target name -> the file's name, for every column that is kept."""
    for target, source in columns.items():
        if source not in names:
            near = nearest(source, names)
            turned = {source: target for target, source in columns.items()}
            if set(turned.values()) <= set(names):
                raise RunError(
                    f"the column map is the wrong way round: {what} has {target!r}, not {source!r}",
                    where=f"{held} has {', '.join(names)}",
                    hint=f"type {_shown(turned)}: what is needed first, then its name in the file",
                )
            raise RunError(
                f"the column map takes {target!r} from {source!r}, which {what} has not",
                where=f"{held} has {', '.join(names)}",
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
            where=f"{held} has {', '.join(names)}",
            hint=f"map it: {_typed(sources, name, near or 'ITS_NAME_THERE')}",
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
    texts: dict[str, Any] = {
        name: _messages(values.pop(name), role, f"{place}: {name}") for name, role in TYPES[type].items()
    }
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
            hint=f"map it: {_typed(sources, 'prompt', 'ITS_NAME_THERE')}",
        )
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if not shared:
        raise RunError(
            "there is no column 'prompt', and the two answers do not start with the same messages",
            where=place,
            hint=f"map the prompt: {_typed(sources, 'prompt', 'ITS_NAME_THERE')}",
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
