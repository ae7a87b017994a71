"""Weights & Biases: a run of its own, whatever ``WANDB_*`` says of ids; projects, groups, tags and modes are heard."""

from __future__ import annotations

import os
from pathlib import Path

from rlexp.tracking.tracker import Ended, Event, Table, Told

STEP = "step"
"""The axis of every curve: wandb's own counts what it was told, and cannot go back."""
EXIT_CODES = {"finished": 0, "stopped": 2, "failed": 1, "interrupted": 130, "killed": 137}
"""Status -> the exit code that wandb is told; it calls every other than 0 failed."""
ROWS = 10_000
"""Rows of a table, of which wandb cuts more off (``wandb.Table.MAX_ROWS``)."""


class Wandb:
    """A run of wandb."""

    def __init__(self, told: Told) -> None:
        import wandb

        self._library = wandb
        # A name that is set for a shell would be that of every point.
        name = None if told.group is None and os.environ.get("WANDB_NAME") else told.name
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or told.project,
            name=name,
            id=told.id,
            group=os.environ.get("WANDB_RUN_GROUP") or told.group,
            config=told.config,
            resume="allow",
            dir=os.environ.get("WANDB_DIR") or str(told.root),
            settings=wandb.Settings(console="off", save_code=False, silent=True),
        )
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric("*", step_metric=STEP)

    @property
    def place(self) -> str:
        """The run's page, or its folder where it is kept offline."""
        return self._run.url or str(Path(self._run.dir).parent)

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Logs the numbers, under the names that the record has."""
        self._run.log({**values, STEP: step})

    def table(self, name: str, step: int, table: Table) -> None:
        """Logs a table; behind ROWS in further ones (``completions/10000``)."""
        for first in range(0, len(table.rows), ROWS):
            rows = table.rows[first : first + ROWS]
            made = self._library.Table(columns=[*table.columns], data=rows, allow_mixed_types=True)
            self._run.log({f"{name}/{first}" if first else name: made, STEP: step})

    def event(self, event: Event) -> None:
        """Sends an alert."""
        level = "ERROR" if event.stops else "WARN"
        self._run.alert(title=event.title, text=f"step {event.step}: {event.text}", level=level, wait_duration=0)

    def end(self, ended: Ended) -> None:
        """Writes the tables and the summary, and finishes with the exit code of the status."""
        for name, table in ended.tables.items():
            self.table(name, ended.step, table)
        self._run.summary.update({"status": ended.status, "reason": ended.reason, **ended.summary})
        self._run.finish(exit_code=EXIT_CODES.get(ended.status, 1))
