"""The processes that train a run together, as the reward sees them: one is alone, or each has a part of every batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Ranks(Protocol):
    """The processes of one run, in torch's words its ranks. All of them call each method, in the same order."""

    number: int
    """The rank of this process, from 0."""
    count: int
    """The number of processes."""

    def join(self) -> None:
        """Meets the others, before anything is asked of them; the libraries are imported."""

    def parts(self, value: T) -> list[T]:
        """The value of every rank, in their order."""

    def from_first(self, make: Callable[[], T]) -> T:
        """What ``make`` answers on rank 0, on every rank; an error of it is raised on every rank too."""

    def note(self, training: bool | None = None) -> None:
        """Notes that a step, or a batch of an evaluation, is done.

        Args:
            training: whether steps follow one another from now on; None for as before.
        """


class Alone:
    """The one process of a run on one device."""

    number = 0
    count = 1

    def join(self) -> None:
        """Does nothing."""

    def parts(self, value: T) -> list[T]:
        """The value."""
        return [value]

    def from_first(self, make: Callable[[], T]) -> T:
        """What ``make`` answers."""
        return make()

    def note(self, training: bool | None = None) -> None:
        """Does nothing."""


def joined(parts: list[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """The columns of every rank, one behind the other, in the order of the whole batch."""
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}
