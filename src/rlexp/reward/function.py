"""The function of a reward file, as the rubric calls it, and its answer as plain numbers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from rlexp.inputs.raised import format_error
from rlexp.inputs.reward_source import PREFILLS, RewardSource
from rlexp.inputs.trl_form import DECLARED
from rlexp.inputs.trl_signature import LIVE

ROLES = {"completions": "assistant", "prompts": "user"}
"""What comes as texts or as conversations -> the role of a text."""
FORMS = re.compile(r"\b(str|string|strings|list|dict|bytes-like)\b|^KeyError: -?\d+$|unhashable")
"""Errors of a function that meets a list for a text, or a text for a list."""


def function_of(module: ModuleType, source: RewardSource) -> Callable[..., Any]:
    """``score`` or ``score_group`` of an imported reward file; a function in TRL's form is called as TRL calls it."""
    if source.trl is None:
        return getattr(module, "score_group" if source.whole_groups else "score")
    function = getattr(module, source.trl)

    if inspect.iscoroutinefunction(function):

        async def waits(**columns: Any) -> Any:
            return await function(**formed(source, columns))

        return waits
    return lambda **columns: function(**formed(source, columns))


def formed(source: RewardSource, columns: Mapping[str, Any], conversational: bool = False) -> dict[str, Any]:
    """Columns with completions and prompts in the form that the function takes; conversations stay what they are.

    Args:
        source: whose function gets them.
        columns: texts, or conversations, and what else it reads.
        conversational: the form, where it follows the rows.
    """
    if not (conversational if source.turns is None else source.turns):
        return dict(columns)
    return {
        name: [[{"role": ROLES[name], "content": one}] if isinstance(one, str) else one for one in values]
        if name in ROLES
        else values
        for name, values in columns.items()
    }


def given(source: RewardSource, offered: Mapping[str, Any], prompts: Sequence[Any], turns: bool) -> dict[str, Any]:
    """What a function gets of what there is.

    Args:
        source: whose function gets it.
        offered: completions and prompts as texts, and columns.
        prompts: as the rows have them.
        turns: the rows, or the completions, are conversations.
    """
    every = [name for name in offered if name not in (PREFILLS, *LIVE)] if source.everything else []
    part = {name: offered[name] for name in dict.fromkeys((*source.reads, *every)) if name in offered}
    if "prompts" in part and (turns if source.turns is None else source.turns):
        part["prompts"] = list(prompts)  # every turn of a dialogue, as TRL hands them over
    return formed(source, part, turns)


def plain_scores(answer: Any) -> Any:
    """Scores out of tensors, arrays and their numbers; anything else as it is."""
    if callable(listed := getattr(answer, "tolist", None)):
        answer = listed()
    if not isinstance(answer, list | tuple):
        return answer
    return [value.item() if callable(getattr(value, "item", None)) and _is_one(value) else value for value in answer]


def _is_one(value: Any) -> bool:
    return getattr(value, "shape", None) in ((), (1,)) or not hasattr(value, "shape")


def said(error: BaseException, source: RewardSource, columns: Mapping[str, Any] | None = None) -> str:
    """An error of a reward in words; where completions may have another form than it takes, with the line that says so.

    Args:
        error: what it raised.
        source: the reward.
        columns: what it was called with.
    """
    message = format_error(error)
    if source.trl is None:
        if isinstance(error, TypeError | IndexError) and str(error).startswith("string ind"):
            name = "score_group" if source.whole_groups else "score"
            message += f' (completions are plain texts here; a function of TRL\'s needs the line trl = "{name}")'
        return message
    if not isinstance(error, TypeError | AttributeError | IndexError | KeyError) or not FORMS.search(message):
        return message
    completions = (columns or {}).get("completions") or [""]
    turns = not isinstance(completions[0], str) if source.turns is None else source.turns
    got = '[{"role": "assistant", "content": text}]' if turns else "a plain text"
    why = f", since {source.turns_why}" if source.turns_why else ""
    what = "change the line to" if source.turns_why.startswith("the file says") else "add the line"
    return f"{message} (a completion is {got} here{why}; for the other form {what} {DECLARED} = {not turns})"
