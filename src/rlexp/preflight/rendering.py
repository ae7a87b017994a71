"""Checks of what the chat template leaves out of the rows: of each message, of a pair's difference, of the loss.

What stands in a rendering is looked for with marks in place of the texts, once for every shape that conversations of
the data have: the roles, and what each message holds. A text that stands twice in a row so hides nothing.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any

from jinja2.exceptions import TemplateError

from rlexp.backend import template_clock
from rlexp.backend.prompts import Messages, WithTools, joined, tools_of
from rlexp.preflight.tokenizer_context import ANSWER, TokenizerContext
from rlexp.verdict import Level, Verdict

SHOWN = 5
"""Rows that a message names."""
UNRENDERED = (TemplateError, TypeError, KeyError, IndexError, AttributeError, ValueError)
"""What a template raises of messages that it does not know."""
TRAINED = ("content", "thoughts", "reasoning_content", "thinking", "tool_calls")
"""Parts of an answer that a method learns from."""


def contents(seen: TokenizerContext) -> Verdict:
    """Everything that the messages hold stands in the rendering.

    What a method trains on fails where it is left out, and so does what the user asked last. The rest (a system text,
    tools, the thoughts of earlier answers, a name) is named once: some templates leave it out on purpose.
    """
    name = "template.content"
    if not seen.tokenizer.chat_template or not seen.conversational:
        return Verdict(name, Level.skipped, "no row is rendered")
    failed: dict[str, str] = {}
    named: dict[str, str] = {}
    for messages, answer_at in _shapes(seen):
        for number, part in _left_out(seen, messages, answer_at):
            role = messages[number]["role"] if number >= 0 else "system"
            trained = not seen.run.method.online and number >= answer_at
            asked = number == answer_at - 1 and part == "content"
            grave = asked or (trained and role == "assistant" and part in TRAINED)
            text = _text(messages, number, part)
            (failed if grave else named).setdefault(_part(role, part, number, answer_at), text)
    for level, found in ((Level.failed, failed), (Level.warning, named)):
        if found:
            shown = ", ".join(f"{part} ({text[:60]!r})" if text else part for part, text in found.items())
            hint = "choose a chat template that writes it, or take it out of the rows"
            return Verdict(name, level, f"the chat template leaves out {shown}", seen.where, hint)
    return Verdict(name, Level.passed, "everything that messages hold stands in the rendering")


def pairs(seen: TokenizerContext) -> Verdict:
    """The two answers of a pair differ as they are rendered: what is equal has no gradient."""
    name = "data.pairs"
    if not seen.rows or "chosen" not in seen.rows[0]:
        return Verdict(name, Level.skipped, "the rows are no pairs")
    equal = []
    for number, row in enumerate(seen.rows):
        texts = [_whole(seen, row["prompt"], row[side]) for side in ("chosen", "rejected")]
        if texts[0] is not None and texts[0] == texts[1]:
            equal.append(seen.number(number))
    if not equal:
        return Verdict(name, Level.passed, f"the answers of {len(seen.rows)} pairs differ as rendered")
    message = (
        f"chosen and rejected are the same in {len(equal)} of {len(seen.rows)} pairs, as the chat template renders them"
    )
    where = f"{seen.run.dataset.name}, train, rows {numbers(equal)} (counted from 0)"
    hint = "the template leaves out what differs (thoughts, tool calls, blanks): take another, or leave these rows out"
    return Verdict(name, Level.failed, message, where, hint, tuple(equal))


def date(seen: TokenizerContext) -> Verdict:
    """A time that the template writes is that of the run: named, since whoever serves the model writes another one."""
    dated = reads_clock(seen)
    said = "no time stands in a rendering"
    if dated is not None:
        said = f"the chat template writes the time ({dated[-40:]!r}): all prompts get {template_clock.now()}, as locked"
    return Verdict("template.date", Level.passed, said)


def reads_clock(seen: TokenizerContext) -> str | None:
    """What a prompt's rendering says of the time, where it is another at another time; else None."""
    if not seen.tokenizer.chat_template:
        return None
    for prompt, _ in seen.conversations:
        try:
            found = template_clock.written(functools.partial(seen.text, prompt, generation_prompt=True))
        except UNRENDERED:
            return None
        if found:
            first, other = found
            end = next(n for n in range(1, len(first) + 1) if first[-n:] != other[-n:])
            return first[: len(first) - end + 1]
    return None


def generation_markers(seen: TokenizerContext) -> Verdict:
    """The template marks the assistant's words, where only these are to be trained on; TRL mends those it knows."""
    name = "template.generation_markers"
    if not seen.run.arguments.get("assistant_only_loss"):
        return Verdict(name, Level.skipped, "method.assistant_only_loss is not asked for")
    hint = "type method.assistant_only_loss=false: the prompt of a row is not trained on anyway"
    if not seen.conversational:
        message = "method.assistant_only_loss needs conversations, and the rows are plain text"
        return Verdict(name, Level.failed, message, "method.assistant_only_loss", hint)
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    template = seen.tokenizer.chat_template
    try:
        marked = has_generation_markers(template) or get_training_chat_template(seen.tokenizer) is not None
    except (ValueError, *UNRENDERED):
        marked = False
    if marked:
        return Verdict(name, Level.passed, "the assistant's words are marked")
    message = (
        "method.assistant_only_loss needs a chat template that marks the assistant's words with {% generation %}, and "
        "it does not"
    )
    return Verdict(name, Level.failed, message, seen.where, hint)


def numbers(found: list[int]) -> str:
    """The first of some rows, by number."""
    return ", ".join(map(str, found[:SHOWN])) + (", ..." if found[SHOWN:] else "")


def _whole(seen: TokenizerContext, prompt: Any, answer: Any) -> str | None:
    if isinstance(prompt, str):
        return prompt + answer if isinstance(answer, str) else None
    try:
        return seen.text(joined(prompt, answer if isinstance(answer, list) else [_said(answer)]))
    except UNRENDERED:
        return None


def _said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _shapes(seen: TokenizerContext) -> Iterable[tuple[Messages, int]]:
    """One conversation of every shape, and the number of its first message that is an answer."""
    known = set()
    for row in seen.rows:
        prompt = row["prompt"]
        if isinstance(prompt, str):
            continue
        answers = [row[name] for name in ("completion", "chosen", "rejected") if isinstance(row.get(name), list)]
        if seen.run.method.online:
            answers = [[]]
        for answer in answers or [[_said(ANSWER)]]:
            messages = joined(prompt, answer)
            shape = (str(tools_of(messages).keys()), len(prompt), *(_shape(turn) for turn in messages))
            if shape not in known:
                known.add(shape)
                yield messages, len(prompt)


def _shape(turn: dict[str, Any]) -> tuple[Any, ...]:
    content = str(turn["content"])
    return (turn["role"], bool(content.strip()), "<think>" in content, "</think>" in content, *sorted(turn))


def _left_out(seen: TokenizerContext, messages: Messages, answer_at: int) -> list[tuple[int, str]]:
    """(number of a message, part of it) that the template does not write; -1 for the tools of the conversation."""
    marks: dict[str, tuple[int, str]] = {}

    def mark(number: int, part: str) -> str:
        text = f"qz{len(marks)}zq"
        marks[text] = (number, part)
        return text

    marked = [_marked(turn, number, mark) for number, turn in enumerate(messages)]
    if isinstance(messages, WithTools):
        marked = WithTools(marked, _marked_tools(messages.tools, mark))
    try:
        text = seen.text(marked, generation_prompt=answer_at == len(messages))
    except UNRENDERED:
        return []
    return [found for mark_text, found in marks.items() if mark_text not in text]


def _marked(turn: dict[str, Any], number: int, mark: Any) -> dict[str, Any]:
    content, made = str(turn["content"]), dict(turn)
    if "</think>" in content:
        opened = "<think>\n" if "<think>" in content else ""
        made["content"] = f"{opened}{mark(number, 'thoughts')}\n</think>\n\n"
        made["content"] += mark(number, "content") if content.rpartition("</think>")[2].strip() else ""
    elif content.strip():
        made["content"] = mark(number, "content")
    for key in ("reasoning_content", "thinking", "name"):
        if key in turn:
            made[key] = mark(number, key)
    if "tool_calls" in turn:
        made["tool_calls"] = [
            {**call, "function": {"name": mark(number, "tool_calls"), "arguments": call["function"]["arguments"]}}
            for call in turn["tool_calls"]
        ]
    return made


def _marked_tools(tools: list[Any], mark: Any) -> list[Any]:
    """The tools with a mark as the name of the first."""
    first = json.loads(json.dumps(tools[0]))
    function = first.get("function", first) if isinstance(first, dict) else {}
    if not isinstance(function, dict) or "name" not in function:
        return tools
    function["name"] = mark(-1, "tools")
    return [first, *tools[1:]]


def _part(role: str, part: str, number: int, answer_at: int) -> str:
    """A part of a message in words."""
    if part == "tools":
        return "the tools"
    whose = f"the {role}'s" if role in ("user", "assistant") else f"a {role} message's"
    earlier = "earlier " if role == "assistant" and number < answer_at else ""
    words = {"content": "text", "tool_calls": "tool calls"}.get(part, part)
    return f"{whose} {earlier}{words}"


def _text(messages: Messages, number: int, part: str) -> str:
    if part in ("content", "thoughts", "reasoning_content", "thinking", "name"):
        return str(messages[number]["content" if part == "thoughts" else part]).strip()
    return ""
