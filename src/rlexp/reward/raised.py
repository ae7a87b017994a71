"""An exception of a reward file, in words: the exception, and the line of the file."""

from __future__ import annotations

import traceback

from rlexp.inputs.reward_source import RewardSource

MESSAGE = 500
"""Characters of an exception that are kept."""


def format_error(error: BaseException) -> str:
    """The exception as ``ValueError: its message``, at most MESSAGE characters; also where its message raises."""
    try:
        text = str(error)
    except Exception as another:
        text = f"(its message raised {type(another).__name__})"
    return f"{type(error).__name__}: {text}"[:MESSAGE] if text else type(error).__name__


def line_of(source: RewardSource, error: BaseException) -> str:
    """The line of the reward file that raised, or called what raised; the file where no line of it is known."""
    path = str(source.path)
    lines = [number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == path]
    return f"{source.file}:{lines[-1]}" if lines else source.file
