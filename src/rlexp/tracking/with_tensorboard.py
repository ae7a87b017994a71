"""TensorBoard: event files below the run's checkpoints, where transformers wrote them too, without torch."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlexp.tracking.tracker import Ended, Event, Table, Told
from rlexp.whole import CHECKPOINTS

FOLDER = "runs"


class TensorBoard:
    """An event file of one run."""

    def __init__(self, told: Told) -> None:
        from tensorboard.compat.proto import event_pb2
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb
        from tensorboard.plugins.text.summary_v2 import text_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._events, self._scalar, self._text = event_pb2, scalar_pb, text_pb
        above = Path(os.environ.get("TENSORBOARD_LOGGING_DIR") or told.run_dir / CHECKPOINTS / FOLDER)
        self._folder = above / told.name
        self._writer = EventFileWriter(str(self._folder))
        # A second start tells readers that what was written of later steps is taken back.
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        first = 0 if told.again is None else told.again + 1
        self._writer.add_event(event_pb2.Event(wall_time=time.time(), step=first, session_log=start))
        if told.again is not None:
            return
        self._add(hparams_pb(dict(_leaves(told.config)), trial_id=told.name), 0)
        self._say("config", json.dumps(told.config, indent=1, sort_keys=True), 0)
        if told.group:
            self._say("sweep", told.group, 0)

    @property
    def place(self) -> str:
        """The folder of the event file."""
        return str(self._folder)

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Writes the numbers, under the names that the record has."""
        for name, value in values.items():
            self._add(self._scalar(name, value), step)
        self._writer.flush()

    def table(self, name: str, step: int, table: Table) -> None:
        """Writes a table of texts, its first row the names of the columns."""
        import numpy as np

        cells = [table.columns, *([_words(cell) for cell in row] for row in table.rows)]
        self._add(self._text(name, np.array(cells, dtype=np.object_)), step)
        self._writer.flush()

    def event(self, event: Event) -> None:
        """Writes a text."""
        self._say(event.title, f"{event.text}{' (it ended the run)' if event.stops else ''}", event.step)

    def end(self, ended: Ended) -> None:
        """Writes the tables, the numbers and the status, and closes the file."""
        for name, table in ended.tables.items():
            self.table(name, ended.step, table)
        self.numbers(ended.step, ended.summary)
        self._say("status", f"{ended.status}: {ended.reason}" if ended.reason else ended.status, ended.step)
        self._writer.close()

    def _say(self, name: str, text: str, step: int) -> None:
        self._add(self._text(name, text), step)
        self._writer.flush()

    def _add(self, summary: Any, step: int) -> None:
        event = self._events.Event(wall_time=time.time(), step=step)
        event.summary.ParseFromString(summary.SerializeToString())
        self._writer.add_event(event)


def _words(cell: Any) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell, default=str, ensure_ascii=False)


def _leaves(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    for name, value in tree.items():
        key = f"{above}{name}"
        if isinstance(value, dict):
            yield from _leaves(value, f"{key}.")
        elif value is not None:
            yield key, value if isinstance(value, bool | int | float | str) else _words(value)
