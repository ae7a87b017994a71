"""What a caller hands over to be scored, held against what the terms read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rlexp.errors import RunError, nearest
from rlexp.inputs.reward_source import PROVIDED, RewardSource


def as_list(name: str, values: Any) -> list[Any]:
    """The values as a list: a Series of pandas and an array hold as many."""
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise RunError(
            f"{name} is {'one text' if isinstance(values, str) else f'a {type(values).__name__}'}, "
            "and a list with an entry for each completion is asked for",
            where=f"{name}=",
            hint=f"put it into a list: {name}=[...]",
        )
    tolist: Callable[[], list[Any]] | None = getattr(values, "tolist", None)
    return tolist() if tolist else list(values)


def require_text(item: Any, number: int) -> None:
    turns = item if isinstance(item, list) and item else [None]
    if isinstance(item, str) or (isinstance(turns[-1], Mapping) and isinstance(turns[-1].get("content"), str)):
        return
    raise RunError(
        f"completion {number} is {item!r:.80}, and a text or a list of messages is asked for",
        where=f"completions[{number}]",
        hint='give a text, or [{"role": "assistant", "content": "..."}]',
    )


def lacking(name: str, source: RewardSource, read: str, columns: Mapping[str, Any]) -> RunError:
    guess = nearest(read, columns)
    kind = "" if read in PROVIDED else "the column "
    where = f"{source.file}: score()"
    meant = f"did you mean {read} by {guess}? " if guess else ""
    hint = f"{meant}give {read}=[...], or a column {read} of the data; without it leave {name} out of the reward"
    return RunError(f"the reward {name} reads {kind}{read}, which is not there", where=where, hint=hint)
