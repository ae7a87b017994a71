"""The function of a reward file, as the rubric calls it, and its answer as plain numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from rlexp.inputs.raised import format_error
from rlexp.inputs.reward_source import RewardSource


def function_of(module: ModuleType, source: RewardSource) -> Callable[..., Any]:
    """``score`` or ``score_group`` of an imported reward file; a function in TRL's form is called as TRL calls it."""
    if source.trl is None:
        return getattr(module, "score_group" if source.whole_groups else "score")
    function = getattr(module, source.trl)

    def turned(columns: dict[str, Any]) -> dict[str, Any]:
        """Texts as conversations of one turn, where it takes the content of a turn."""
        if not source.turns:
            return columns
        roles = {"completions": "assistant", "prompts": "user"}
        return {
            name: [[{"role": roles[name], "content": text}] for text in values] if name in roles else values
            for name, values in columns.items()
        }

    if inspect.iscoroutinefunction(function):

        async def waits(**columns: Any) -> Any:
            return await function(**turned(columns))

        return waits
    return lambda **columns: function(**turned(columns))


def plain_scores(answer: Any) -> Any:
    """Scores out of tensors, arrays and their numbers; anything else as it is."""
    if callable(listed := getattr(answer, "tolist", None)):
        answer = listed()
    if not isinstance(answer, list | tuple):
        return answer
    return [value.item() if callable(getattr(value, "item", None)) and _is_one(value) else value for value in answer]


def _is_one(value: Any) -> bool:
    return getattr(value, "shape", None) in ((), (1,)) or not hasattr(value, "shape")


def said(error: BaseException) -> str:
    """An error of a reward in words; of a function of TRL's that meets texts, with the line that it needs."""
    message = format_error(error)
    if isinstance(error, TypeError | IndexError) and str(error).startswith("string ind"):
        message += ' (completions are plain texts here; a function of TRL\'s needs the line trl = "score")'
    return message
