"""A place in a list of tokens, moved by what is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlexp.reward.mathematics.forms import UnreadError
from rlexp.reward.mathematics.tokens import END, Token, tokens

MOST_NESTED = 40


class Stream:
    """Tokens of one text and the place where they are read; what a reader does not know ends it with UnreadError."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self._nested = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else END

    def take(self) -> Token:
        token = self.next
        self._at += 1
        return token

    def accept(self, *texts: str) -> bool:
        if self.next.text in texts and self.next.kind != "words":
            self._at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise UnreadError(f"{self.next.text} for {text}")

    def back_after(self, read: Callable[[], Any]) -> Any:
        """What ``read`` answers; None, and back at the place, where it cannot read."""
        place, nested = self._at, self._nested
        try:
            return read()
        except UnreadError:
            self._at, self._nested = place, nested
            return None

    def deeper(self) -> None:
        self._nested += 1
        if self._nested > MOST_NESTED:
            raise UnreadError("nested too deeply")
