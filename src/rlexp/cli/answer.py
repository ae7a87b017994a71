"""The answer of a verb: text for a person, or, with ``--json``, the one JSON document on stdout."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from rlexp import secrets
from rlexp.errors import Failed, Interrupted, RunError

FORMAT = 1
"""Rises where a field of an answer goes, or comes to mean something else; new fields leave it."""


@dataclass(frozen=True)
class Answer:
    """What a verb answers. Of ``content`` and ``show`` one is called, once."""

    content: Callable[[], Any]
    """The answer as JSON values, as ``cli.schemas`` describes it."""
    show: Callable[[], None] = lambda: None
    """Prints what was not printed while the verb worked."""
    exit_code: int = 0


def claim_stdout() -> TextIO:
    """Stdout for the answer alone: what this process, its libraries and its children print goes to stderr."""
    try:
        answers = os.dup(1)
    except OSError:  # it was closed
        answers = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(2, 1)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)  # in the order of what goes to stderr itself
    return os.fdopen(answers, "w", encoding="utf-8")


def write(stream: TextIO, content: Any) -> None:
    """Writes a document, and flushes it: strict JSON in UTF-8."""
    text = json.dumps(strict(content), indent=2, ensure_ascii=False, allow_nan=False)
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:  # the reader went away: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def last_words(stream: TextIO | None, content: dict[str, Any]) -> None:
    """Writes how it ended, where JSON was asked for; a stdout that cannot be written does not hide the error."""
    if stream:
        with contextlib.suppress(OSError):
            write(stream, content)


def strict(value: Any) -> Any:
    """The value as every JSON parser reads it: null for a number that is not finite, no half of a surrogate pair."""
    if isinstance(value, dict):
        return {_text(name): strict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if isinstance(value, Enum):
        return strict(value.value)
    if isinstance(value, float):  # numpy's, too
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return _text(value)


def of_error(error: RunError) -> dict[str, Any]:
    """The document of a mistake, or of a run that failed: in the words of the message, secrets masked."""
    return _mistake(error.what, error.where, error.hint, error)


def of_interrupt(interrupted: Interrupted) -> dict[str, Any]:
    """The document of a verb that a signal ended."""
    return _mistake("interrupted by a signal", None, after(interrupted), interrupted)


def after(interrupted: Interrupted) -> str:
    """What is left of a verb that was interrupted."""
    if interrupted.run_dir is None:
        return "nothing half-written stays: type the same again"
    return f"the run was {interrupted.reason}; the run folder holds what was done so far"


def of_unforeseen(error: Exception) -> dict[str, Any]:
    """The document of an error that nobody foresaw; its traceback is on stderr."""
    what = f"{type(error).__name__}: {error}"
    hint = "this is a bug of rlexp: report it with the traceback on stderr"
    return _mistake(what, None, hint, Failed(what))


def _mistake(what: str, where: str | None, hint: str | None, error: RunError | Interrupted) -> dict[str, Any]:
    secrets.learn(Path())
    said = {"what": what, "where": where, "hint": hint}
    place = {"run_dir": os.path.relpath(error.run_dir)} if error.run_dir else {}
    if error.go_on:
        place["go_on"] = error.go_on
    return {"format": FORMAT, "error": secrets.masked_tree(said), "exit_code": error.exit_code, **place}


def _text(value: Any) -> str:
    return str(value).encode("utf-8", errors="replace").decode()
