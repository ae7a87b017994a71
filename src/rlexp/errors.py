"""The one exception family of rlexp: a user's mistake, said once and plainly."""

from __future__ import annotations

import difflib
import re
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters other than a new line and a tab, and those that turn the direction of a text."""


class RunError(Exception):
    """A mistake the user can mend. ``__main__`` prints it as one message and exits with 2.

    Args:
        what: what is wrong, in one sentence.
        where: the file and key, or the row, that holds the mistake.
        hint: the nearest valid choice and what to type.
    """

    exit_code = 2
    run_dir: Path | None = None
    """The folder of the run that it ended, where there is one."""
    go_on: str | None = None
    """What to type so that this run goes on, where it can."""

    def __init__(self, what: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.hint:
            lines.append(f"  do:    {self.hint}")
        return printable("\n".join(lines))

    def __reduce__(self) -> tuple[type[RunError], tuple[str, str | None, str | None]]:
        return type(self), (self.what, self.where, self.hint)


class Failed(RunError):
    """Building or training ended in an error of a library, or of ours, that nobody foresaw: exit code 1.

    The traceback is in the run folder.
    """

    exit_code = 1


class Stopped(RunError):
    """A run that its health stopped: the record says ``stopped``, and what was trained so far is kept."""

    override: str | None = None
    """The override with which it goes on all the same."""


class Interrupted(KeyboardInterrupt):
    """A run that a signal ended: Ctrl-C (exit code 130), or a polite kill (SIGTERM, 143)."""

    run_dir: Path | None = None
    go_on: str | None = None

    def __init__(self, number: int = signal.SIGINT, when: str = "") -> None:
        super().__init__()
        self.exit_code = 128 + number
        self.reason = f"stopped by {'Ctrl-C (SIGINT)' if number == signal.SIGINT else signal.Signals(number).name}"
        self.reason += f" {when}" if when else ""


class Several(RunError):
    """Mistakes that were found together.

    Args:
        hint: what goes for all of them.
    """

    def __init__(self, errors: Iterable[RunError], hint: str | None = None) -> None:
        self.errors: list[RunError] = []
        for error in errors:
            self.errors += error.errors if isinstance(error, Several) else [error]
        named = "\n".join(f"  {number}. {_indented(error)}" for number, error in enumerate(self.errors, start=1))
        super().__init__(
            f"{len(self.errors)} things are wrong; nothing was started\n{named}", hint=hint or "mend them all"
        )

    def __reduce__(self) -> Any:
        return type(self), (self.errors, self.hint)


def all_of(*checks: Callable[[], Any], hint: str | None = None) -> list[Any]:
    """The answer of every check.

    Args:
        hint: what goes for all mistakes, where there are several.

    Raises:
        RunError: what the only one that refused says; ``Several`` where more did.
    """
    answers, refused = [], []
    for check in checks:
        try:
            answers.append(check())
        except RunError as error:
            refused.append(error)
    if refused:
        raise refused[0] if len(refused) == 1 else Several(refused, hint)
    return answers


def one_line(text: str) -> str:
    """The text as a record keeps it: without control characters, on one line."""
    return " ".join(printable(text).split())


def _indented(error: RunError) -> str:
    return str(error).replace("\n", "\n   ")


def printable(text: str) -> str:
    """The text without control characters: what a file of others holds shall not steer the terminal."""
    return CONTROL.sub("", text)


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that looks most like ``name``, or None when none comes near."""
    found = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return found[0] if found else None
