"""``diff``: what changed between two runs, and whether a difference in their results can be put down to one thing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlexp import project
from rlexp.cli.answer import Answer
from rlexp.cli.arguments import Parser
from rlexp.compare.changes import Change, big_variables, changes
from rlexp.compare.same_code import same_code
from rlexp.compare.told import held_out, verdict
from rlexp.console import shortened, show_table
from rlexp.errors import printable
from rlexp.record import finished, status
from rlexp.record.finished import FinishedRun
from rlexp.record.listed import RunRow, to_json_steps
from rlexp.record.run_folder import main_metric

CELL = 40
"""Characters of a value in the table; --json holds it whole."""

__all__ = ["Change", "big_variables", "changes", "command", "held_out", "verdict"]


def command(arguments: list[str], here: Path) -> Answer:
    """``diff A B [--json]``: prints every difference of two runs, riskiest first, and a verdict.

    Raises:
        RunError: one of them is no run, or its lock or manifest cannot be read.
    """
    parser = Parser("diff", "Says what changed between two runs, and whether it was one thing.")
    parser.add_argument("a", metavar="A", help="a run folder, its run.lock.yaml, or pinned")
    parser.add_argument("b", metavar="B", help="the run to compare it with")
    options, root = parser.parse_args(arguments), project.root()
    a, b = finished.open(options.a, here, root), finished.open(options.b, here, root)
    found = changes(a, b, same_code(a, b, root))
    same = a.lock["identity"] == b.lock["identity"]
    message = verdict(found, same)
    return Answer(lambda: to_json(a, b, found, same, message, root), lambda: show(a, b, found, message, root))


def show(a: FinishedRun, b: FinishedRun, found: list[Change], message: str, root: Path) -> None:
    """Prints the differences as a table, and below it the verdict and both main results."""
    print(f"A  {_name(a, root)}{_short(a, root)}\nB  {_name(b, root)}{_short(b, root)}\n")
    if found:
        show_table(("risk", "variable", "what", "A", "B", ""), [_row(change) for change in found], folded=("A", "B"))
        print()
    print(printable(message))
    scores = held_out(a, b, found)
    if scores:
        print(printable(scores))


def to_json(
    a: FinishedRun, b: FinishedRun, found: list[Change], same_identity: bool, message: str, root: Path
) -> dict[str, Any]:
    """The answer as JSON values: what ``--json`` prints."""
    optional = ("follows", "note", "variable")
    listed = [
        {name: value for name, value in {**asdict(change), "big": change.big}.items() if value or name not in optional}
        for change in found
    ]
    scores = [main_metric(run.manifest) for run in (a, b)]
    return {
        "a": _name(a, root),
        "b": _name(b, root),
        "same_identity": same_identity,
        "changes": listed,
        "big_variables": big_variables(found),
        "verdict": message,
        "steps": [to_json_steps(_row_of(run, root)) for run in (a, b)],
        "held_out": [{"name": score[0], **score[1]} if score else None for score in scores],
    }


def _name(run: FinishedRun, root: Path) -> str:
    folder = run.run_dir.resolve()
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)


def _row_of(run: FinishedRun, root: Path) -> RunRow:
    return RunRow(run.run_dir, _name(run, root), run.manifest, *status.of(run.manifest))


def _short(run: FinishedRun, root: Path) -> str:
    """How far a run came that did not finish: ``  (interrupted, 5 of 40 steps)``."""
    row = _row_of(run, root)
    if not row.steps or row.status == "finished":
        return ""
    return f"  ({row.status}, {row.steps[0]} of {row.steps[1]} steps)"


def _row(change: Change) -> tuple[str, ...]:
    a, b = _cells(_text(change.a), _text(change.b))
    remark = f"follows {change.follows}" if change.follows else change.note
    return change.risk, change.variable, change.key, a, b, remark


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        inner = {name: item for name, item in value.items() if item != {}}
        return ", ".join(f"{name} {_text(item)}" for name, item in inner.items())
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cells(a: str, b: str) -> tuple[str, str]:
    """Both texts short enough for a cell; a long common beginning is left out, so that the difference is seen."""
    common = next((i for i, (one, two) in enumerate(zip(a, b, strict=False)) if one != two), min(len(a), len(b)))
    if max(len(a), len(b)) > CELL and common > CELL // 2:
        a, b = (f"…{text[common - 10 :]}" for text in (a, b))
    return shortened(a, CELL), shortened(b, CELL)
