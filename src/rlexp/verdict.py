"""The verdict of a check: its name, a verdict, what was seen, and what to type. Every check of preflight answers
these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from rlexp.errors import RunError


class Level(Enum):
    """The outcome of a check, the gravest last."""

    skipped = "skipped"
    passed = "ok"
    warning = "warning"
    failed = "failed"


@dataclass(frozen=True)
class Verdict:
    """The answer of one check."""

    name: str
    """The check's own name, such as ``template.doubled_bos``; tests and tables call it so."""
    level: Level
    message: str
    """The observation in one sentence, with its numbers."""
    where: str | None = None
    """The file and key to look at."""
    hint: str | None = None
    """The words to type, or the thing to change."""
    rows: tuple[int, ...] = ()
    """Rows of the split train that it is about, from 0, where it is about some."""

    def __str__(self) -> str:
        """The verdict as a warning prints it."""
        return f"[{self.name}] {self.message}" + (f"; {self.hint}" if self.hint else "")

    def to_json(self) -> dict[str, str]:
        """Name, level and what was seen, as the manifest keeps them."""
        return {"name": self.name, "level": self.level.value, "said": self.message}


def require(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts that are warnings, for the caller to print.

    Raises:
        RunError: checks failed; the message leads with the first and names every other.
    """
    verdicts = list(verdicts)
    failed = [verdict for verdict in verdicts if verdict.level is Level.failed]
    if failed:
        first, *others = failed
        more = "".join(f"\n  also:  [{other.name}] {other.message}" for other in others)
        raise RunError(f"[{first.name}] {first.message}{more}", where=first.where, hint=first.hint)
    return [verdict for verdict in verdicts if verdict.level is Level.warning]
