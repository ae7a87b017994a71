"""The end of a run on the terminal: held-out scores before and after, and a few completions of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rlexp.compose.run import Run
from rlexp.evaluate.measure import Measurement
from rlexp.reward.rubric import source_name

BY_SOURCE = source_name("", "")[:-1]
"""How the names of the rows of a mixture's parts begin; they stand behind those of all rows."""


@dataclass(frozen=True)
class HeldOutScores:
    """The held-out scores of one set of weights."""

    metrics: dict[str, float]
    """The trainer's own evaluation (margins, accuracies, loss); empty for online methods."""
    sampled: Measurement


def change_table(before: HeldOutScores, after: HeldOutScores) -> dict[str, Any]:
    """The numbers for the manifest: name -> before, after, and the standard errors where they are known."""
    names = sorted(after.sampled.means, key=lambda name: name.startswith(BY_SOURCE))
    rows: dict[str, Any] = {
        name: {
            "before": before.sampled.means[name],
            "after": after.sampled.means[name],
            "standard_error": [before.sampled.errors[name], after.sampled.errors[name]],
        }
        for name in names
        if name in before.sampled.means
    }
    for name in after.metrics:
        rows[name] = {"before": before.metrics[name], "after": after.metrics[name]}
    return rows


def samples(before: HeldOutScores, after: HeldOutScores) -> list[dict[str, Any]]:
    """Every held-out prompt with its completions before and after."""
    one, two = before.sampled, after.sampled
    return [
        {"prompt": prompt, "before": old, "reward_before": r0, "after": new, "reward_after": r1}
        for prompt, old, r0, new, r1 in zip(
            one.prompts, one.completions, one.rewards, two.completions, two.rewards, strict=True
        )
    ]


def show(console: Console, run: Run, before: HeldOutScores, after: HeldOutScores) -> None:
    """Prints the closing table and ``held_out.samples`` completions before and after."""
    count = len(after.sampled.prompts)
    table = Table(title=f"{count} held-out prompts", title_justify="left", box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for column in ("before", "after", "change"):
        table.add_column(column, justify="right", no_wrap=True)
    rows = change_table(before, after)
    for name in sorted(rows, key=lambda name: (name.startswith(BY_SOURCE), name == "reward", name)):
        row = rows[name]
        errors = row.get("standard_error")
        old, new = (
            f"{row[key]:.3f}" + (f" ± {1.96 * errors[i]:.3f}" if errors else "")
            for i, key in enumerate(("before", "after"))
        )
        change = f"{(row['after'] / row['before'] - 1) * 100:+.0f}%" if row["before"] > 0 else ""
        table.add_row(name, old, new, change)
    lengths = [sum(s.sampled.lengths) / count for s in (before, after)]
    table.add_row("completion tokens", f"{lengths[0]:.1f}", f"{lengths[1]:.1f}", "")
    console.print()
    console.print(table)
    for item in samples(before, after)[: run.held_out.samples]:
        console.print(f"\n{escape(item['prompt'])}")
        for when in ("before", "after"):
            text = escape(item[when].replace("\n", "\\n"))
            console.print(f"  {when:>6}  {item['reward_' + when]:5.2f}  {text}")
    console.print()
