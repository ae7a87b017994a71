"""Dialogues as files hold them, as TRL's: a list of messages with ``role`` and ``content``, nothing of them dropped.

Understood are OpenAI's messages, ShareGPT's ``from`` and ``value``, either of them as JSON text, a content in text
parts, and hh-rlhf's transcripts. Source of the keys: https://huggingface.co/docs/trl/dataset_formats#tool-calling and
transformers' chat templates. A key that no chat template is given is refused by its name.
"""

from __future__ import annotations

import json
import re
from typing import Any

from rlexp.errors import RunError, nearest
from rlexp.inputs.digest import json_sha256
from rlexp.inputs.row_values import require_characters

Message = dict[str, Any]
ROLES = ("system", "user", "assistant", "tool")
OTHER_NAMES = {"human": "user", "gpt": "assistant", "observation": "tool", "function_call": "assistant"}
"""ShareGPT's names of roles -> TRL's."""
TEXTS = ("name", "tool_call_id", "reasoning_content", "thinking")
KEYS = ("role", "content", "tool_calls", *TEXTS)
TRANSCRIPT = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")


class Dialogues:
    """Reads dialogues, and remembers which forms of them it met in which column."""

    def __init__(self) -> None:
        self.notes: dict[str, None] = {}
        self._roles: dict[str, dict[str, str]] = {}
        """Column -> the name of a role in the file -> TRL's."""
        self._forms: dict[str, dict[str, str]] = {}
        """Column -> form of its texts -> the first place."""

    def read(self, value: Any, role: str, place: str, column: str) -> list[Message]:
        """A dialogue as messages; plain text becomes one message of ``role``, and so does an empty cell.

        Args:
            place: the row, for messages.
            column: the column's name in the data-set type.

        Raises:
            RunError: it is neither a text nor a dialogue, or holds what no chat template is given.
        """
        where = f"{place}: {column}"
        if value is None:
            return [{"role": role, "content": ""}]
        if isinstance(value, str):
            form, turns = _of_text(value, role, where)
            self._forms.setdefault(column, {}).setdefault(form, place)
            if form == "plain text":
                return turns
            self.notes[f"{column}: {form}"] = None
            value = turns
        if isinstance(value, dict):
            value = [value]
        if not isinstance(value, list) or not value or not all(isinstance(turn, dict) for turn in value):
            raise RunError(
                "neither a text nor a dialogue",
                where=where,
                hint=f'a dialogue is [{{"role": "{role}", "content": "..."}}], its roles among {", ".join(ROLES)}',
            )
        return [self._message(turn, column, where) for turn in value]

    def said(self) -> list[str]:
        """What was recognised, each thing once: the roles of a column in one line."""
        notes = list(self.notes)
        for column, roles in self._roles.items():
            named = ", ".join(f"{name} as {roles[name]}" for name in OTHER_NAMES if name in roles)
            notes.append(f"{column}: roles read: {named}")
        return notes

    def require_one_form(self) -> None:
        """Checks that no column holds plain texts in some rows and dialogues written as text in others.

        Raises:
            RunError: one does; the message names a row of each.
        """
        for column, forms in self._forms.items():
            if len(forms) > 1:
                shown = "; ".join(f"{form} in {place}" for form, place in forms.items())
                raise RunError(
                    f"the column {column!r} holds texts of several forms: {shown}",
                    where=next(iter(forms.values())),
                    hint="write all of its rows in one form, or make two files of them",
                )

    def _message(self, turn: Message, column: str, where: str) -> Message:
        if "from" in turn and "role" not in turn:
            self.notes[f"{column}: ShareGPT messages (from, value)"] = None
            turn = {{"from": "role", "value": "content"}.get(key, key): part for key, part in turn.items()}
        named = turn.get("role")
        role = OTHER_NAMES.get(named, named) if isinstance(named, str) else named
        if role not in ROLES:
            raise RunError(
                f"neither a text nor a dialogue: {named!r} is no role",
                where=where,
                hint=f"its roles are among {', '.join(ROLES)} (nearest: {nearest(str(named), ROLES) or 'system'})",
            )
        if role != named:
            self._roles.setdefault(column, {})[str(named)] = role
        for key, part in turn.items():
            if key not in KEYS and part not in (None, "", [], {}):
                raise RunError(
                    f"a message has the key {key!r}, which no chat template is given",
                    where=where,
                    hint=f"take {key} out of the messages; given are {', '.join(KEYS)}",
                )
        message: Message = {"role": role, "content": self._content(turn.get("content"), column, where)}
        for key in TEXTS:
            if (part := turn.get(key)) not in (None, ""):
                if not isinstance(part, str):
                    raise RunError(f"{key} of a message is no text", where=where, hint=f"write {key} as text")
                message[key] = part
        if calls := _calls(turn.get("tool_calls"), where):
            message["tool_calls"] = calls
        if named == "function_call":
            message |= {"content": "", "tool_calls": _calls(f"[{message['content']}]", where)}
        if turn.get("content") is None and "tool_calls" not in message:
            raise RunError("neither a text nor a dialogue: a message has no content", where, "write its content")
        return message

    def _content(self, content: Any, column: str, where: str) -> str:
        """The text of a content; null, as beside tool calls, is none."""
        if content is None or isinstance(content, str):
            return content or ""
        parts = content if isinstance(content, list) else [content]
        for part in parts:
            kind = part.get("type", "text") if isinstance(part, dict) else type(part).__name__
            if not isinstance(part, dict) or kind != "text" or not isinstance(part.get("text"), str):
                raise RunError(
                    f"neither a text nor a dialogue: a content has a part of the type {kind!r}",
                    where=where,
                    hint='a content is one text, or text parts: [{"type": "text", "text": "..."}]',
                )
        self.notes[f"{column}: text parts joined"] = None
        return "".join(part["text"] for part in parts)


def _of_text(text: str, role: str, where: str) -> tuple[str, list[Message]]:
    """The form of a text, and its messages: a dialogue in JSON, a transcript of hh-rlhf, or plain text."""
    start = text.lstrip()
    if start.startswith(("[{", "[ {", "[\n")) and (turns := _json_list(text)):
        require_characters(turns, where)
        return "a dialogue as JSON text", turns
    if start.startswith("Human:") and "\n\nAssistant:" in text:
        parts = TRANSCRIPT.split(text)[1:]
        names = [{"Human": "user", "Assistant": "assistant"}[name] for name in parts[::2]]
        said = [{"role": name, "content": words.strip()} for name, words in zip(names, parts[1::2], strict=True)]
        if role == "user" and said[-1] == {"role": "assistant", "content": ""}:
            said.pop()  # the place where the answer goes
        return "a transcript of Human and Assistant", said
    return "plain text", [{"role": role, "content": text}]


def _json_list(text: str) -> list[Message] | None:
    try:
        turns = json.loads(text)
    except (ValueError, RecursionError):
        return None
    keys = ({"role", "content"}, {"role", "tool_calls"}, {"from", "value"})
    whole = isinstance(turns, list) and turns and all(isinstance(turn, dict) for turn in turns)
    return turns if whole and all(any(known <= turn.keys() for known in keys) for turn in turns) else None


def _calls(calls: Any, where: str) -> list[dict[str, Any]]:
    """Tool calls as TRL takes them: ``{"type": "function", "function": {"name", "arguments"}}``, arguments an object.

    Raises:
        RunError: they are of another form.
    """
    if not calls:
        return []
    wanted = '[{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]'
    refused = RunError("tool_calls of a message are not understood", where, f"write them as {wanted}")
    if isinstance(calls, str):
        try:
            calls = json.loads(calls)
        except (ValueError, RecursionError) as error:
            raise refused from error
        require_characters(calls, f"{where}: tool_calls")
    if not calls:
        return []
    if not isinstance(calls, list):
        raise refused
    found = []
    for call in calls:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise refused
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except (ValueError, RecursionError) as error:
                raise refused from error
            require_characters(arguments, f"{where}: arguments of {function['name']}")
        if not isinstance(arguments, dict | None):
            raise refused
        kept = {key: part for key, part in call.items() if key == "id" and part is not None}
        found.append({**kept, "type": "function", "function": {"name": function["name"], "arguments": arguments or {}}})
    return found


def stored(messages: list[Message]) -> list[Message]:
    """Messages as a snapshot holds them: tool calls as JSON text, since a column gives every object the same keys."""
    return [
        {**message, "tool_calls": json.dumps(message["tool_calls"], ensure_ascii=False)}
        if "tool_calls" in message
        else message
        for message in messages
    ]


def restored(value: Any) -> Any:
    """The messages that a snapshot holds, as a chat template takes them; what is no dialogue as it is."""
    if not isinstance(value, list) or not all(isinstance(turn, dict) and "role" in turn for turn in value):
        return value
    return [_restored(turn) for turn in value]


def prompt_hash(prompt: Any) -> str:
    """The sha256 of a prompt of a snapshot, in hex: equal prompts have the same, whatever stands beside them."""
    return json_sha256(restored(prompt))


def _restored(turn: Message) -> Message:
    kept = {key: part for key, part in turn.items() if part is not None or key in ("role", "content")}
    if isinstance(calls := kept.get("tool_calls"), str):
        kept["tool_calls"] = json.loads(calls)
    return kept
