"""Reads what trackers keep on this machine: wandb's offline files, Trackio's database, TensorBoard's event files."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BLOCK, HEADER = 32768, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class Seen:
    """One run of a tracker, as its own files tell it."""

    id: str = ""
    name: str = ""
    project: str = ""
    group: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    numbers: list[dict[str, Any]] = field(default_factory=list)
    """Each with its ``step``."""
    tables: dict[tuple[str, int], list[dict[str, Any]]] = field(default_factory=dict)
    """(name, step) -> rows by column."""
    events: list[tuple[str, str]] = field(default_factory=list)
    """(title, text)."""
    status: str | None = None
    """None of a run that nobody ended."""
    exit_code: int | None = None

    def curve(self, name: str) -> list[tuple[int, float]]:
        """(step, value) of a number."""
        return [(entry["step"], entry[name]) for entry in self.numbers if name in entry]

    def table(self, name: str) -> dict[int, list[dict[str, Any]]]:
        """Step -> rows of a table."""
        return {step: rows for (of, step), rows in self.tables.items() if of == name}


def wandb(folder: Path) -> list[Seen]:
    """The runs of wandb's offline files below a folder, oldest first."""
    return [_wandb(path) for path in sorted(folder.rglob("*.wandb"))]


def _wandb(path: Path) -> Seen:
    from wandb.proto.wandb_internal_pb2 import Record

    seen = Seen()
    for data in _transaction_log(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            seen.id, seen.name, seen.project, seen.group = run.run_id, run.display_name, run.project, run.run_group
            seen.config |= {item.key: json.loads(item.value_json) for item in run.config.update if item.key}
        elif kind == "history":
            values: dict[str, Any] = {}
            for item in record.history.item:
                name, *below = item.nested_key or [item.key]
                if below:
                    values.setdefault(name, {})["/".join(below)] = json.loads(item.value_json)
                else:
                    values[name] = json.loads(item.value_json)
            for name, value in values.items():
                if isinstance(value, dict) and value.get("_type") == "table-file":
                    made = json.loads((path.parent / "files" / value["path"]).read_text())
                    seen.tables[name, values["step"]] = [
                        dict(zip(made["columns"], row, strict=True)) for row in made["data"]
                    ]
            if numbers := {name: value for name, value in values.items() if not isinstance(value, dict)}:
                seen.numbers.append(numbers)
        elif kind == "summary":
            for item in record.summary.update:
                if (item.key or item.nested_key[0]) == "status":
                    seen.status = json.loads(item.value_json)
        elif kind == "alert":
            seen.events.append((record.alert.title, record.alert.text))
        elif kind == "exit":
            seen.exit_code = record.exit.exit_code
    return seen


def _transaction_log(data: bytes) -> Iterator[bytes]:
    """The records of wandb's transaction log, whose blocks are those of LevelDB's log."""
    assert data[:4] == b":W&B"
    at, parts = HEADER, b""
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
        if kind == 0:
            return
        parts += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (FULL, LAST):
            yield parts
            parts = b""


def trackio(folder: Path) -> list[Seen]:
    """The runs of Trackio's databases in a folder, oldest first."""
    found: list[Seen] = []
    for path in sorted(folder.glob("*.db")):
        with sqlite3.connect(path) as base:
            base.row_factory = sqlite3.Row
            rows = base.execute("select * from metrics order by id").fetchall()
            made = {row["run_id"]: Seen(row["run_id"], row["run_name"], path.stem) for row in rows}
            for row in rows:
                _trackio(made[row["run_id"]], row["step"], json.loads(row["metrics"]))
            for row in base.execute("select * from configs").fetchall():
                made[row["run_id"]].config = json.loads(row["config"])
                made[row["run_id"]].group = made[row["run_id"]].config.get("_Group") or ""
            for row in base.execute("select * from alerts order by id").fetchall():
                made[row["run_id"]].events.append((row["title"], row["text"]))
            found += made.values()
    return found


def _trackio(seen: Seen, step: int, values: dict[str, Any]) -> None:
    seen.status = values.pop("status", seen.status)
    numbers = {name: value for name, value in values.items() if not isinstance(value, dict)}
    if numbers:
        seen.numbers.append({**numbers, "step": step})
    for name, value in values.items():
        if isinstance(value, dict):
            assert value["_type"] == "trackio.table"
            seen.tables[name, step] = value["_value"]


def tensorboard(folder: Path) -> list[Seen]:
    """The runs of event files below a folder, one a folder of them."""
    return [_tensorboard(place) for place in sorted({path.parent for path in folder.rglob("events.out.*")})]


def _tensorboard(folder: Path) -> Seen:
    from tensorboard.backend.event_processing.plugin_event_accumulator import TENSORS, EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder), {TENSORS: 0})
    events.Reload()
    seen = Seen(folder.name, folder.name)
    for name in events.Tags()["tensors"]:
        if name.startswith("_hparams_"):
            continue
        for event in events.Tensors(name):
            value = make_ndarray(event.tensor_proto)
            if value.dtype != object:
                seen.numbers.append({name: float(value), "step": event.step})
            elif value.ndim == 2:
                columns, *rows = [[cell.decode() for cell in row] for row in value.tolist()]
                seen.tables[name, event.step] = [dict(zip(columns, row, strict=True)) for row in rows]
            elif name == "config":
                seen.config = json.loads(value.item())
            elif name == "sweep":
                seen.group = value.item().decode()
            elif name == "status":
                seen.status = value.item().decode()
            else:
                seen.events.append((name, value.item().decode()))
    return seen
