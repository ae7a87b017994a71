"""The report of one run, however it ended, from its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rlexp.compose.run import Run
from rlexp.errors import RunError, printable
from rlexp.preflight.smoke.passes import duration
from rlexp.record import events, go_on, held_out, listed, status
from rlexp.record.finished import FinishedRun
from rlexp.report import charts, facts, measured, verdict
from rlexp.report.charts import Mark
from rlexp.report.damage import Damage
from rlexp.report.page import COMPLETIONS, HeldOut, Page, Section, Table

MOST_HELD_OUT = 3_000_000
"""Characters of held-out rows that the page holds; a row is whole or absent."""
MOST_NAMED = 5
"""Damaged files that are named."""


def gather(run: FinishedRun, damage: Damage) -> Page:
    """Everything but the stored completions. What cannot be read is said, and the rest is shown.

    Args:
        damage: what was found of the completions; takes up what is found here.
    """
    before = len(damage.faults)
    found = damage.rows(lambda: events.read(run.run_dir))
    unheard, before = [f"It cannot be read: {one}." for one in damage.faults[before:]], len(damage.faults)
    rows = damage.rows(lambda: held_out.read(run.run_dir))
    unseen = [f"Its rows cannot be shown: {one}." for one in damage.faults[before:]]
    marks = [Mark(one["step"], f"{one['rule']}: {one['said']}", one["level"]) for one in found]
    entries, unread = damage.entries(run)
    evaluation = damage.section("evaluation", "Evaluation", lambda: _evaluation(run))
    exported = damage.section("artifacts", "Artifacts", lambda: facts.exported(run))
    stored = [f"Completions that cannot be read: {one}." for one in damage.completions[:MOST_NAMED]]
    if (more := len(damage.completions) - MOST_NAMED) > 0:
        stored.append(f"{more} files more cannot be read.")
    return Page(
        "run",
        title(run),
        f"{printable(go_on.place(run.run_dir, run.root))}, identity {run.lock['identity']}",
        alert=_alert(run),
        verdicts=verdict.of(run, found, rows, damage.faults, damage.cut),
        facts=_facts(run),
        sections=[
            Section("curves", "Curves", unread, charts.of_entries(entries, marks)),
            Section(COMPLETIONS, "Completions", stored),
            _health(found, unheard),
            evaluation,
            _held_out(run, unseen),
            exported,
            facts.settings(run),
            facts.arguments(run),
            facts.commands(run, bool(run.completion_steps())),
        ],
        held_out=_samples(rows),
    )


def title(run: FinishedRun) -> str:
    """What it is, in a line."""
    config = run.lock["config"]
    terms = "+".join(sorted(config["reward"]["terms"]))
    rewarded = f", rewarded by {terms}" if terms else ""
    return printable(
        f"{config['method']['name']} of {config['model']['name']} on {config['dataset']['name']}{rewarded}"
    )


def composed(run: FinishedRun) -> Run | None:
    """The run as it was locked; None where its lock is no run of this version, which a report can do without."""
    try:
        return run.run
    except RunError:
        return None


def _alert(run: FinishedRun) -> str:
    """Why it did not come to its end; empty where it did, or nothing says how it went."""
    stands, _ = status.of(run.manifest)
    if stands == "running":
        return "It is still running: this is what there is so far."
    return f"It did not finish. {status.sentence(run.manifest)}" if stands not in ("finished", "") else ""


def _facts(run: FinishedRun) -> list[tuple[str, str]]:
    manifest, config = run.manifest, run.lock["config"]
    steps = listed.steps_of(run.run_dir, manifest, status.of(manifest)[0])
    git, machine = manifest.get("git") or {}, facts.mapping(manifest.get("machine"))
    seconds = (manifest.get("timings_s") or {}).get("total")
    gpus = machine.get("gpus")
    rows = [
        ("status", status.of(manifest)[0]),
        ("steps", f"{steps[0]} of {steps[1]}" if steps else ""),
        ("began", _date(manifest.get("started"))),
        ("took", duration(seconds) if seconds else ""),
        ("seed", str(config["seed"])),
        (
            "machine",
            f"{len(gpus)} × {gpus[0]}" if isinstance(gpus, list) and gpus else str(machine.get("processor", "")),
        ),
        ("commit", f"{git['sha'][:10]}{', changed' if git.get('dirty') else ''}" if git.get("sha") else ""),
        ("began with", _start(run)),
    ]
    return [(name, printable(value)) for name, value in rows if value]


def _start(run: FinishedRun) -> str:
    for name in ("start", "fork"):
        if before := run.manifest.get(name):
            return f"{before['run']}{'' if before.get('step') is None else '@{}'.format(before['step'])}"
    return ""


def _date(text: str | None) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M UTC") if text else ""
    except ValueError:
        return ""


def _health(found: Sequence[Mapping[str, Any]], lead: list[str]) -> Section:
    rows = [[one["step"], one["rule"], one["level"], one.get("value"), one["said"], one["hint"]] for one in found]
    head = ["step", "rule", "level", "value", "seen", "do"]
    return Section("health", "Health", lead, tables=[Table(head, rows, sortable=True)] if rows else [])


def _evaluation(run: FinishedRun) -> Section:
    chart, why = measured.on_the_way(run)
    tasks, drawn, tables = measured.tasks(run), [chart] if chart else [], []
    for place, task in enumerate(tasks):
        drawn += measured.charts(task, place)
        rows = [[one.subject, one.step, one.metric, one.mean, one.low, one.high, one.prompts] for one in task.estimates]
        head = ["weights", "step", "metric", "mean", "from", "to", "prompts"]
        tables.append(Table(head, rows, task.name, "95% intervals", sortable=True))
        if task.differences:
            rows = [[one.metric, one.one, one.other, one.mean, one.low, one.high, one.p] for one in task.differences]
            head = ["metric", "from", "to", "difference", "from", "to", "p, Holm"]
            tables.append(Table(head, rows, f"{task.name}: differences", "paired by prompt, 95% intervals"))
    return Section("evaluation", "Evaluation", [why] if why else [], drawn, tables)


def _held_out(run: FinishedRun, lead: list[str]) -> Section:
    """The comparison that the run itself made."""
    found = run.manifest.get("held_out") or {}
    best = any("best" in row for row in found.values())
    rows: list[list[Any]] = []
    for name in sorted(found, key=lambda name: (name.startswith("source/"), name != "reward")):
        row, errors = found[name], found[name].get("standard_error") or [None, None]
        chosen = [_with_error(row.get("best"), row.get("best_standard_error"))] if best else []
        sides = [_with_error(row[side], error) for side, error in zip(("before", "after"), errors, strict=True)]
        rows.append([name, sides[0], *chosen, sides[1], row["after"] - row["before"]])
    head = ["mean of", "before", *(["best"] if best else []), "after", "change"]
    tables = [Table(head, rows, "Before and after", "± 1.96 standard errors")] if rows else []
    return Section("held-out", "Held-out rows", lead, tables=tables)


def _with_error(mean: float | None, error: float | None) -> str:
    return "" if mean is None else f"{mean:.3f}" + (f" ± {measured.Z * error:.3f}" if error is not None else "")


def _samples(rows: Sequence[dict[str, Any]]) -> HeldOut | None:
    kept: list[dict[str, Any]] = []
    room = MOST_HELD_OUT
    for row in rows:
        room -= sum(len(value) for value in row.values() if isinstance(value, str))
        if room < 0:
            break
        kept.append({name: charts.number(value) if name.startswith("reward") else value for name, value in row.items()})
    return HeldOut(kept, len(rows)) if kept else None
