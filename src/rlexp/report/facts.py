"""The sections of a run's report that its record states: settings, lock, arguments, patches, exports, commands."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import yaml

from rlexp import files
from rlexp.errors import printable
from rlexp.record import benchmarks, exports, gates, go_on, status
from rlexp.record.finished import FinishedRun
from rlexp.report.page import Command, Section, Table, Text

LEAST_TEXT = 200
"""Characters of a value from which on it stands in the folded text only."""


def settings(run: FinishedRun) -> Section:
    """What was asked: the overrides as typed, the config as composed, the lock."""
    overrides = [[one] for one in run.lock["overrides"]]
    lock = {name: value for name, value in run.lock.items() if name != "config"}
    return Section(
        "settings",
        "Settings and lock",
        tables=[Table(["override"], overrides, "Requested", "as it was typed")] if overrides else [],
        texts=[
            Text("Config, composed", _yaml(run.lock["config"])),
            Text(f"Lock, with the checksum {run.lock['checksum'][:12]}", _yaml(lock)),
        ],
    )


def arguments(run: FinishedRun) -> Section:
    """Every argument of the trainer: requested, effective, and why; the patches of libraries that were active."""
    rows: list[list[Any]] = []
    for how, named in mapping(run.manifest.get("effective_arguments")).items():
        for name, value in mapping(named).items():
            told = isinstance(value, dict) and {"asked", "held"} <= value.keys()
            asked, held = (value["asked"], value["held"]) if told else (value, value)
            rows.append([name, "" if how == "default" else short(asked), short(held), how, told and value.get("why")])
    rows = [[*row[:4], row[4] or ""] for row in rows]
    rows.sort(key=lambda row: (row[3] == "default", str(row[0])))
    head = ["argument", "requested", "effective", "how", "why"]
    tables = [Table(head, rows, "Arguments of the trainer", sortable=True, folded=True)] if rows else []
    patches = [[name, one["status"], one.get("why", "")] for name, one in (run.manifest.get("patches") or {}).items()]
    if patches:
        about = "of TRL, vLLM and Unsloth"
        tables.append(Table(["patch", "status", "why"], patches, "Patches", about, sortable=True))
    return Section("arguments", "Arguments and patches", tables=tables)


def exported(run: FinishedRun) -> Section:
    """Artifacts with the verdicts of the gate, and what the benchmark measured.

    Raises:
        RunError: the record of an export or of a benchmark has another shape.
    """
    folder = exports.folder_of(run.run_dir, run.root)
    if not files.lies_inside(folder, run.root):
        return Section("artifacts", "Artifacts")
    manifest, measured = gates.manifest(folder), benchmarks.read(folder) or {}
    if not manifest:
        return Section("artifacts", "Artifacts")
    lead = [f"In {os.path.relpath(folder, run.root)}/."]
    if manifest["of"]["identity"] != run.lock["identity"]:
        return Section("artifacts", "Artifacts", ["What was exported there is of another run."])
    rows = [
        [
            name,
            one["verdict"],
            _size(one["bytes"]),
            one["runtime"],
            "; ".join(reason["why"] for reason in one["reasons"]),
        ]
        for name, one in manifest["artifacts"].items()
    ]
    head = ["artifact", "verdict", "size", "held against the run in", "why"]
    tables = [Table(head, rows, "Verdicts of the gate", sortable=True)] if rows else []
    if ship := manifest.get("ship"):
        lead.append(f"To ship: {ship['name']}: {ship['why']}." if ship["name"] else f"None to ship: {ship['why']}.")
    if speed := _speed(measured):
        head = ["artifact", "at once", "tokens/s", "first token p50, s", "answer p99, s", "memory, GiB"]
        machine = measured["machine"]
        about = f"on {(machine.get('gpus') or [machine['processor']])[0]}"
        tables.append(Table(head, speed, "Benchmark", about, sortable=True))
    died = [f"{name} died: {one['died']['why']}." for name, one in measured.get("artifacts", {}).items() if one["died"]]
    return Section("artifacts", "Artifacts", [*lead, *died], tables=tables)


def commands(run: FinishedRun, stored: bool) -> Section:
    """What to type to have it again and to look further.

    Args:
        stored: whether completions were stored.
    """
    name = go_on.place(run.run_dir, run.root)
    found = [
        Command("trains it again, and says how far it agrees", go_on.line("replay", name)),
        Command("verifies every input by hash, and trains nothing", go_on.line("replay", name, "--check")),
    ]
    if stored:
        found.append(
            Command("the worst completions of its last step", go_on.line("inspect", name, "step=last", "sort=worst"))
        )
        found.append(
            Command(
                "its completions, scored by the rewards as they are now", go_on.line("score", f"completions={name}")
            )
        )
    if status.of(run.manifest)[0] in ("interrupted", "killed", "failed"):
        found.append(Command("goes on with it", go_on.resume_line(run.run_dir, run.root)))
    found.append(Command("measures it beside what it began with", go_on.line("evaluate", name)))
    found.append(Command("makes it the project's own run", go_on.line("pin", name)))
    return Section("commands", "Commands", ["Typed in the project's folder."], commands=found)


def _speed(content: Mapping[str, Any]) -> list[list[Any]]:
    return [
        [
            *(name, level["together"], level["tokens_per_s"]),
            *(level["first_token_s"].get("p50"), level["answer_s"].get("p99"), one.get("peak_gib")),
        ]
        for name, one in content.get("artifacts", {}).items()
        for level in one.get("levels", ())
    ]


def _size(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _yaml(tree: Any) -> str:
    return printable(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=120))


def mapping(value: Any) -> Mapping[str, Any]:
    """The value, where it is a mapping; else an empty one: a manifest may hold anything under keys that none reads."""
    return value if isinstance(value, dict) else {}


def short(value: Any) -> str:
    """A value in a cell, cut to LEAST_TEXT characters: the lock has it whole."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= LEAST_TEXT else f"{text[:LEAST_TEXT]}…"
