"""What of a record cannot be read: it is said on the page, and the rest is shown all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlexp.errors import RunError, printable
from rlexp.record import metrics
from rlexp.record.finished import FinishedRun
from rlexp.report.page import Section


@dataclass
class Damage:
    """What was found while a report was made."""

    faults: list[str] = field(default_factory=list)
    """Files that are damaged, and why."""
    cut: list[str] = field(default_factory=list)
    """What a kill leaves of a file that is written line by line: no fault of a run that did not come to its end."""
    completions: list[str] = field(default_factory=list)
    """Those of ``faults`` that are files of completions."""

    @property
    def all(self) -> list[str]:
        """Everything, a sentence each."""
        return [*self.faults, *self.cut]

    def rows(self, read: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """The rows that a reader answers; none, and why is kept, where it cannot."""
        try:
            return read()
        except RunError as error:
            self.faults.append(_line(error))
            return []

    def section(self, id: str, title: str, make: Callable[[], Section]) -> Section:
        """A section; where its files cannot be read, it says so."""
        try:
            return make()
        except RunError as error:
            self.faults.append(_line(error))
            return Section(id, title, [f"It cannot be shown: {_line(error)}."])

    def entries(self, run: FinishedRun) -> tuple[list[dict[str, Any]], list[str]]:
        """(the entries of ``metrics.jsonl`` that can be read, what is to be said of the others)."""
        found, wrong, cut = metrics.readable(run.run_dir)
        if wrong:
            (self.cut if cut else self.faults).append(wrong)
        return found, [f"Not all of it can be read: {wrong}."] if wrong else []

    def of_completions(self, error: RunError) -> None:
        """Keeps why a file of completions cannot be read."""
        self.faults.append(_line(error))
        self.completions.append(_line(error))


def _line(error: RunError) -> str:
    what, file = error.what.splitlines()[0], Path(error.where or "").name
    return printable(what if file.partition(":")[0] in what else f"{file}: {what}")
