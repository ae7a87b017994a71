"""What trackers are told, read from a run folder: its record is the one source, so that no tracker knows another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rlexp.inputs import snapshot
from rlexp.record import completions, evaluation, lock, status
from rlexp.record.left import HELD_OUT
from rlexp.record.run_folder import HEALTH, LOCK, METRICS, read_manifest
from rlexp.secrets import masked_tree
from rlexp.tracking.tracker import Ended, Event, Table, Told, Tracker

LINEAGE = ("fork", "start")
"""Keys of the manifest that say what a run began with."""


def of_run(run_dir: Path, root: Path, again: int | None = None) -> Told:
    """What a run is: its lock, and its names at trackers as the manifest holds them.

    Raises:
        RunError: lock or manifest cannot be read.
    """
    locked, manifest = lock.read_lock(run_dir / LOCK), read_manifest(run_dir) or {}
    named = manifest["tracking"]
    facts = {name: locked[name] for name in ("identity", "inputs", "overrides", "versions", "machine")}
    facts |= {"git": {"sha": manifest.get("git", {}).get("sha")}, "run_folder": _place(run_dir, root)}
    facts["lineage"] = {name: manifest[name] for name in LINEAGE if name in manifest}
    return Told(
        run_dir,
        root,
        locked["config"]["tracking"]["project"],
        named["name"],
        named["id"],
        named.get("group"),
        masked_tree({**locked["config"], **facts}),
        again,
    )


def ended(run_dir: Path, step: int) -> Ended:
    """How a run ended, with its tables.

    Args:
        step: the last one that was seen.
    """
    manifest = read_manifest(run_dir) or {}
    stands, reason = status.of(manifest)
    if stands == "running":  # nobody trains any more, or this would not be asked
        stands, reason = "killed", "its record was not closed"
    rows = manifest.get("held_out") or {}
    summary = {f"held_out/{name}/{when}": row[when] for name, row in rows.items() for when in WHEN if when in row}
    tables = {"held_out": _held_out(rows)} if rows else {}
    if found := _samples(run_dir / HELD_OUT):
        tables["held_out/completions"] = found
    if found := _table(_objects(run_dir / HEALTH, 0)[0]):
        tables["health"] = found
    tables |= evaluations(run_dir)
    return Ended(stands, reason, step or manifest.get("steps", {}).get("done", 0), summary, tables)


WHEN = ("before", "best", "after")


def evaluations(run_dir: Path) -> dict[str, Table]:
    """The results and differences of a run's evaluations, a table each."""
    tables = {}
    for file in evaluation.of_run(run_dir):
        content, key = evaluation.read(file), file.parent.name
        results = [
            {"task": task, "subject": subject, "metric": metric, **estimate}
            for task, subjects in content["results"].items()
            for subject, metrics in subjects.items()
            for metric, estimate in metrics.items()
        ]
        differences = [{"task": task, **one} for task, found in content["differences"].items() for one in found]
        for name, rows in ((f"evaluation/{key}", results), (f"evaluation/{key}/differences", differences)):
            if table := _table(rows):
                tables[name] = table
    return tables


class Growing:
    """What a run folder gained since it was last asked.

    Args:
        after: the step behind which everything is new.
    """

    def __init__(self, run_dir: Path, after: int = 0) -> None:
        self.run_dir = run_dir
        self.after = after
        self.step = after
        """The last that was seen."""
        self._read = {METRICS: 0, HEALTH: 0}
        self._completions = after

    def tell(self, tracker: Tracker) -> None:
        """Hands everything that is new to a tracker."""
        for step in completions.steps(self.run_dir):
            if step > self._completions:
                tracker.table("completions", step, of_completions(self.run_dir, step))
                self._completions = step
        for entry in self._new(METRICS):
            self.step = max(self.step, entry["step"])
            tracker.numbers(entry["step"], numbers(entry))
        for entry in self._new(HEALTH):
            tracker.event(_event(entry))

    def _new(self, name: str) -> list[dict[str, Any]]:
        entries, self._read[name] = _objects(self.run_dir / name, self._read[name])
        return [entry for entry in entries if entry["step"] > self.after]


def of_completions(run_dir: Path, step: int) -> Table:
    """The completions of a step, with the columns that the record has."""
    found = snapshot.read(run_dir / completions.name(step))
    columns = [column.to_pylist() for column in found.columns]
    return Table(list(found.column_names), [list(row) for row in zip(*columns, strict=True)])


def numbers(entry: dict[str, Any], above: str = "") -> dict[str, float]:
    """The numbers of an entry of ``metrics.jsonl``, those of its timing as ``timing/NAME``."""
    found: dict[str, float] = {}
    for name, value in entry.items():
        if isinstance(value, dict):
            found |= numbers(value, f"{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and (above or name != "step"):
            found[f"{above}{name}"] = value
    return found


def _objects(path: Path, begin: int) -> tuple[list[dict[str, Any]], int]:
    """(the objects of the whole lines behind a byte, the byte behind them); none where there is no such file."""
    if not path.is_file():
        return [], begin
    with path.open("rb") as stream:
        stream.seek(begin)
        text = stream.read()
    text = text[: text.rfind(b"\n") + 1]
    return [json.loads(line) for line in text.splitlines()], begin + len(text)


def _event(entry: dict[str, Any]) -> Event:
    text = f"{entry['said']} ({entry['hint']})" if entry.get("hint") else entry["said"]
    return Event(entry["step"], f"health.{entry['rule']}", text, entry["level"] == "stop")


def _held_out(rows: dict[str, Any]) -> Table:
    kept = [
        {
            "metric": name,
            **{when: row.get(when) for when in WHEN},
            **{f"{when}_standard_error": error for when, error in _errors(row)},
        }
        for name, row in rows.items()
    ]
    return _table(kept) or Table([], [])


def _errors(row: dict[str, Any]) -> Iterator[tuple[str, float | None]]:
    before, after = row.get("standard_error") or (None, None)
    yield from (("before", before), ("best", row.get("best_standard_error")), ("after", after))


def _samples(file: Path) -> Table | None:
    return _table(json.loads(file.read_text())) if file.is_file() else None


def _table(rows: Sequence[dict[str, Any]]) -> Table | None:
    """A table of rows whose keys are columns, in the order in which they come; None of no rows."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return Table(columns, [[row.get(name) for name in columns] for row in rows]) if rows else None


def _place(run_dir: Path, root: Path) -> str:
    return run_dir.relative_to(root).as_posix() if run_dir.is_relative_to(root) else run_dir.name
