"""The shape of rows of one's own, recognised by the columns they have: what each becomes in a TRL data-set type.

Recognised are ``messages`` and ShareGPT's ``conversations``, Alpaca's ``instruction``, ``input`` and ``output``, and
verl's ``reward_model.ground_truth``. A column that the user mapped, or that has the type's own name, is left alone.
Sources: https://huggingface.co/docs/trl/dataset_formats, hiyouga/LLaMA-Factory data/README.md, verl's "Prepare data".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rlexp.errors import RunError
from rlexp.inputs.messages import Dialogues, Message
from rlexp.inputs.row_answers import with_truths

Row = dict[str, Any]
CONVERSATIONS = ("messages", "conversations", "conversation")
FORMS = ("prompt", *CONVERSATIONS, "instruction")
"""Columns that say what is asked."""


def reshaped(
    rows: dict[str, Row], mapped: Mapping[str, str], type: str, dialogues: Dialogues, held: str
) -> tuple[dict[str, Row], list[str]]:
    """Rows with the columns of a data-set type, as far as a shape was recognised, and what was recognised.

    Args:
        rows: rows by their place, their columns mapped.
        mapped: the column map.
        type: the data-set type.
        dialogues: reads the conversations.
        held: where they were read from, for messages.

    Raises:
        RunError: a row has another form than the others, or is malformed.
    """
    _require_one_form(rows, held)
    notes: list[str] = []
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    whole = {"prompt"} if type in ("prompt_only", "preference") else {"prompt", "completion"}
    if not whole <= set(names) and not whole & set(mapped) and (column := _conversation(rows, names, type)):
        rows = {place: _split(row, column, type, dialogues, f"{held} {place}") for place, row in rows.items()}
        parts = "prompt" if type == "preference" else "prompt and completion"
        notes.append(f"{column}: split behind the last message of the user into {parts}")
        notes += [
            f"{column}: in place of the column {name}" for name in ("prompt", "completion") if _over(name, names, type)
        ]
        if type == "prompt_only" and "completion" in names:
            notes.append(f"{column}: what it answers is left out for the column completion")
    elif "prompt" not in names and "instruction" in names:
        rows = {place: _of_instruction(row, type, f"{held} {place}") for place, row in rows.items()}
        joined = [name for name in ("input", "history", "system") if name in names]
        notes.append(f"Alpaca: prompt from instruction{''.join(f', {name}' for name in joined)}")
        if type in ("prompt_completion", "unpaired_preference") and "output" in names:
            notes[-1] += "; completion from output"
    if type == "unpaired_preference" and "label" not in names and "kto_tag" in names:
        rows = {place: _renamed(row, "kto_tag", "label") for place, row in rows.items()}
        notes.append("label from kto_tag")
    if "answer" not in names and "reward_model" in names:
        rows = with_truths(rows, held, mapped, notes)
    return rows, notes


def _over(name: str, names: list[str], type: str) -> bool:
    """Whether a conversation takes the place of a column that is there."""
    return name in names and (name == "prompt" or type in ("prompt_completion", "unpaired_preference"))


def _require_one_form(rows: Mapping[str, Row], held: str) -> None:
    """Checks that no row says in other columns what the others say in theirs.

    Raises:
        RunError: one does; the message names it, and its column.
    """
    forms = {place: tuple(n for n in FORMS if row.get(n) not in (None, "")) for place, row in rows.items()}
    (usual, _), *_ = Counter(forms.values()).most_common(1)
    for place, form in forms.items():
        if form and usual and not set(form) & set(usual):
            raise RunError(
                f"the row has another form than the others: it has {form[0]!r}, they have {usual[0]!r}",
                where=f"{held} {place}: {form[0]}",
                hint="write all rows in one form, or make two files of them",
            )


def _conversation(rows: Mapping[str, Row], names: list[str], type: str) -> str | None:
    """The column that holds whole conversations; of pairs, one that ends where they are to answer."""
    column = next((name for name in CONVERSATIONS if name in names), None)
    if column is None or type != "preference":
        return column
    first = next(iter(rows.values()))[column]
    last = first[-1] if isinstance(first, list) and first and isinstance(first[-1], dict) else {}
    return column if (last.get("role") or last.get("from")) in ("user", "human", "tool", "observation") else None


def _split(row: Row, column: str, type: str, dialogues: Dialogues, place: str) -> Row:
    """The row with its conversation as prompt, and, but for pairs, as completion."""
    kept = {name: value for name, value in row.items() if name != column}
    turns = dialogues.read(row.get(column), "user", place, column)
    if row.get(column) in (None, "") or turns == [{"role": "user", "content": row[column]}]:
        raise RunError(
            "the row has no conversation" if row.get(column) in (None, "") else "a plain text is no conversation",
            where=f"{place}: {column}",
            hint='write [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}], or map prompt',
        )
    if system := kept.pop("system", None):
        if not isinstance(system, str):
            raise RunError("the system message is no text", where=f"{place}: system", hint="write it as text")
        message = {"role": "system", "content": system}
        if turns[0]["role"] == "system" and turns[0] != message:
            raise RunError(
                f"the row has two system messages: this one, and another at the beginning of {column}",
                where=f"{place}: system",
                hint="leave one of them out, or write both as one text",
            )
        turns = turns if turns[0] == message else [message, *turns]
    users = [number for number, turn in enumerate(turns) if turn["role"] == "user"]
    if not users:
        raise RunError(
            "the conversation has no message of the user",
            where=f"{place}: {column}",
            hint="leave this row out of the file, or put what the user asked into it",
        )
    prompt, completion = turns[: users[-1] + 1], turns[users[-1] + 1 :]
    if type == "preference":
        return {**kept, "prompt": turns}
    if type == "prompt_only":
        # The answer stays at hand for a reward, and for a look: as text where it is one.
        said = completion[0]["content"] if len(completion) == 1 and "tool_calls" not in completion[0] else completion
        return {**kept, "prompt": prompt, **({"completion": said or None} if "completion" not in kept else {})}
    if not completion:
        raise RunError(
            "the conversation ends with a message of the user: it holds no answer to it",
            where=f"{place}: {column}",
            hint="take that message out, or leave this row out of the file",
        )
    return {**kept, "prompt": prompt, "completion": completion}


def _of_instruction(row: Row, type: str, place: str) -> Row:
    """An Alpaca row with its prompt, and where the type has one and the row an output, its completion."""
    taken = ("instruction", "input", "history", "system")
    kept = {name: value for name, value in row.items() if name not in taken}
    parts = [str(row[name]) for name in ("instruction", "input") if row.get(name) not in (None, "")]
    prompt: list[Message] = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    for asked, answered in _history(row.get("history"), f"{place}: history"):
        prompt += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    kept["prompt"] = [*prompt, {"role": "user", "content": "\n".join(parts)}]
    if type in ("prompt_completion", "unpaired_preference") and "completion" not in row and "output" in row:
        kept = _renamed(kept, "output", "completion")
    return kept


def _history(value: Any, where: str) -> list[list[str]]:
    """Alpaca's earlier turns: pairs of what the user said and what was answered."""
    try:
        pairs = json.loads(value) if isinstance(value, str) and value else value
    except (ValueError, RecursionError):
        pairs = [None]
    if not all(isinstance(pair, list) and [type(text) for text in pair] == [str, str] for pair in pairs or []):
        hint = 'write pairs of what the user said and what was answered: [["Hi", "Hello"]]'
        raise RunError("the history holds no pairs of texts", where=where, hint=hint)
    return pairs or []


def _renamed(row: Row, before: str, after: str) -> Row:
    return {after if name == before else name: value for name, value in row.items()}
