"""One call of a reward's function, and its result: scores, or a failure instead of each."""

from __future__ import annotations

import asyncio
import inspect
import math
import signal
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

from rlexp.errors import RunError
from rlexp.inputs.raised import format_error, line_of
from rlexp.inputs.reward_source import RewardSource
from rlexp.inputs.script import load_script
from rlexp.reward.function import function_of, plain_scores, said


@dataclass(frozen=True)
class Failure:
    """The failure that a completion has instead of a score."""

    kind: Literal["raised", "timed out", "died", "not finite"]
    message: str
    """The event: ``ValueError: planted``."""
    where: str
    """The line of the reward file where one is known, else the file."""


Score = float | None | Failure


class TimedOut(BaseException):
    """Raised inside a reward at its time limit; no ``Exception``, so that ``except Exception`` does not swallow it."""


class Clock:
    """The soft time limit: counts the processor time of this process, and raises ``TimedOut`` in the reward.

    Not the wall clock, which runs on while the process waits for a processor; and not SIGALRM, which math-verify sets.
    """

    def __init__(self) -> None:
        self.limit = math.inf
        """Seconds a completion."""
        self.running = False
        """A reward is being called: it may be raised in."""
        self.over = False
        """The call took too long, whatever the reward made of the exception."""

    def install(self, limit: float) -> None:
        """Sets the limit of this process; it must be the main thread."""
        self.limit = limit
        signal.signal(signal.SIGPROF, self._ring)

    def start(self, count: int) -> None:
        """Gives a call with ``count`` completions its time."""
        self.over = False
        # Again and again: the first may be swallowed by a bare except, or in a __del__.
        signal.setitimer(signal.ITIMER_PROF, self.limit * count, max(0.05, self.limit * count / 10))

    def stop(self) -> None:
        """No limit until the next start."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self.running:
            self.over = True
            raise TimedOut


clock = Clock()


class RewardFunction:
    """A reward file, imported.

    Args:
        name: the term.
        source: the file and how its function wants to be called.
        params: the composed parameters.

    Raises:
        RunError: the file raised when imported.
    """

    def __init__(self, name: str, source: RewardSource, params: dict[str, Any]) -> None:
        self._name, self._source, self._params = name, source, params
        try:
            self._function = function_of(load_script(source.path), source)
        except (Exception, SystemExit) as error:
            what = f"the reward {name} raised {format_error(error)} when imported"
            raise RunError(
                what,
                where=line_of(self._source.path, self._source.file, error),
                hint="mend the reward, then: python -m rlexp score",
            ) from error
        self._asynchronous = inspect.iscoroutinefunction(self._function)

    def scores(self, columns: Mapping[str, Any]) -> list[Score]:
        """Calls the function once.

        Args:
            columns: what it reads, lists of one length.

        Returns:
            A score or a failure for each completion; what the function raises is a failure of all of them.

        Raises:
            RunError: it answered the wrong number of scores, or something that is no number.
        """
        count = len(next(iter(columns.values())))
        failure, where = None, self._source.file
        try:
            try:
                clock.running = True
                answer = self._function(**columns, **self._params)
                if self._asynchronous:
                    answer = waited_for(answer)
            finally:
                clock.running = False
        except KeyboardInterrupt:  # Ctrl-C where the reward runs in the user's own process
            raise
        except BaseException as error:
            where = line_of(self._source.path, self._source.file, error)
            failure = Failure("raised", said(error, self._source, columns), where)
        if clock.over:
            failure = Failure("timed out", f"more than {clock.limit * count:g} s of computing", where)
        return [failure] * count if failure else self._checked(answer, columns)

    def _checked(self, answer: Any, columns: Mapping[str, Any]) -> list[Score]:
        """Does as ``checked``, but a number that is not finite is the failure of its completion only."""
        answer = plain_scores(answer)
        numbers = enumerate(answer if isinstance(answer, list | tuple) else [])
        failed = {n for n, value in numbers if isinstance(value, int | float) and not _is_finite(value)}
        scores = [None if n in failed else value for n, value in enumerate(answer)] if failed else answer
        shown = columns.get("completions", [""] * len(next(iter(columns.values()))))
        kept: list[Score] = [*checked(self._name, scores, shown, self._source.file)]
        for number in failed:
            value = answer[number] if isinstance(answer[number], float) else "an integer beyond every float"
            kept[number] = Failure("not finite", f"scored {value}", self._source.file)
        return kept


def waited_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The answer of a coroutine, also where an event loop runs already, as in a notebook: then in a thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def checked(name: str, scores: Any, completions: Sequence[str], file: str) -> list[float | None]:
    """``scores`` as plain floats, one for each completion.

    Raises:
        RunError: the wrong number of them, or one that is not a finite number (nor None).
    """
    scores = plain_scores(scores)
    if not isinstance(scores, list | tuple) or len(scores) != len(completions):
        got = f"{len(scores)} scores" if isinstance(scores, list | tuple) else type(scores).__name__
        raise RunError(
            f"the reward {name} answered {got} for {len(completions)} completions",
            where=f"{file}: score()",
            hint="return one score, or None, for each completion",
        )
    for number, value in enumerate(scores):
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
            raise RunError(
                f"the reward {name} scored {value!r}, which is no finite number",
                where=f"{file}: score(), on the completion {completions[number][:200]!r}",
                hint="return a float, or None where it does not apply",
            )
    return [None if value is None else float(value) for value in scores]
