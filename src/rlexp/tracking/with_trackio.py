"""Trackio: a run of its own in its database (``TRACKIO_DIR``), or where ``TRACKIO_SPACE_ID`` says."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

from rlexp.tracking.tracker import Ended, Event, Table, Told


class Trackio:
    """A run of Trackio, which turns what goes wrong into warnings: they are collected, and said at the end."""

    def __init__(self, told: Told) -> None:
        import trackio

        self._library = trackio
        self._stack = contextlib.ExitStack()
        self._said = self._stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        self._run = trackio.init(
            project=told.project,
            name=told.name,
            group=told.group,
            config=told.config,
            resume="never" if told.again is None else "allow",
            embed=False,
        )

    @property
    def place(self) -> str:
        """The server that it is sent to, or the folder of its database."""
        return str(self._run.url or self._library.TRACKIO_DIR)

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Logs the numbers, under the names that the record has."""
        self._run.log(values, step=step)

    def table(self, name: str, step: int, table: Table) -> None:
        """Logs a table; the dashboard cuts long cells, the database holds them whole."""
        self._run.log({name: self._library.Table(columns=table.columns, data=table.rows)}, step=step)

    def event(self, event: Event) -> None:
        """Sends an alert."""
        level = self._library.AlertLevel.ERROR if event.stops else self._library.AlertLevel.WARN
        self._run.alert(title=event.title, text=event.text, level=level, step=event.step)

    def end(self, ended: Ended) -> None:
        """Writes tables, numbers and the status, which Trackio has no place of its own for; an alert where the run did
        not finish.

        Raises:
            RuntimeError: Trackio could not keep something, and only warned of it.
        """
        for name, table in ended.tables.items():
            self.table(name, ended.step, table)
        self._run.log({"status": ended.status, "reason": ended.reason, **ended.summary}, step=ended.step)
        if ended.status != "finished":
            level = self._library.AlertLevel.ERROR
            self._run.alert(title=f"the run ended: {ended.status}", text=ended.reason, level=level, step=ended.step)
        self._library.finish()
        self._stack.close()
        own = Path(self._library.__file__).parent
        if said := [str(one.message) for one in self._said if Path(one.filename).is_relative_to(own)]:
            more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
            raise RuntimeError(f"{said[0]}{more}")
