"""An exception of a Python file of the team, in words: the exception, and the line of the file."""

from __future__ import annotations

import traceback
from pathlib import Path

from rlexp.errors import printable
from rlexp.secrets import masked

MESSAGE = 500
"""Characters of an exception that are kept."""


def format_error(error: BaseException) -> str:
    """The exception as ``ValueError: its message``, at most MESSAGE characters, secrets masked; also where its message
    raises."""
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception as another:
        text = f"(its message raised {type(another).__name__})"
    return f"{type(error).__name__}: {printable(masked(text))}"[:MESSAGE] if text else type(error).__name__


def line_of(path: Path, file: str, error: BaseException) -> str:
    """The line of a file that raised, or called what raised; the file where no line of it is known.

    Args:
        path: the file that was loaded.
        file: how it is shown, from the project folder.
    """
    lines = [n for frame, n in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path) and error.lineno:
        lines.append(error.lineno)
    return f"{file}:{lines[-1]}" if lines else file
