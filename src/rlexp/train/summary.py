"""The end of a run on the terminal: held-out scores before and after, and a few completions of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rlexp.compose.run import Run
from rlexp.compose.schema_eval import HELD_OUT
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


def change_table(before: HeldOutScores, after: HeldOutScores, best: HeldOutScores | None = None) -> dict[str, Any]:
    """The numbers for the manifest: name -> before, after, and the standard errors where they are known; where other
    weights than those at the end were chosen, theirs as ``best``."""
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
    if best:
        for name, row in rows.items():
            if name in best.sampled.means:
                row |= {"best": best.sampled.means[name], "best_standard_error": best.sampled.errors[name]}
            elif name in best.metrics:
                row["best"] = best.metrics[name]
    return rows


def samples(before: HeldOutScores, after: HeldOutScores, best: HeldOutScores | None = None) -> list[dict[str, Any]]:
    """Every held-out prompt with its completions before and after, and those of the chosen weights where they are
    others."""
    one, two = before.sampled, after.sampled
    found = [
        {"prompt": prompt, "before": old, "reward_before": r0, "after": new, "reward_after": r1}
        for prompt, old, r0, new, r1 in zip(
            one.prompts, one.completions, one.rewards, two.completions, two.rewards, strict=True
        )
    ]
    if best:
        chosen = best.sampled
        for item, text, reward in zip(found, chosen.completions, chosen.rewards, strict=True):
            item |= {"best": text, "reward_best": reward}
    return found


def show(
    console: Console, run: Run, before: HeldOutScores, after: HeldOutScores, best: HeldOutScores | None = None
) -> None:
    """Prints the closing table and ``held_out.samples`` completions before and after, and of the chosen weights where
    they are others."""
    count = len(after.sampled.prompts)
    table = Table(title=f"{count} held-out prompts", title_justify="left", box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for column in ("before", *(["best"] if best else []), "after", "change"):
        table.add_column(column, justify="right", no_wrap=True)
    rows = change_table(before, after, best)
    for name in sorted(rows, key=lambda name: (name.startswith(BY_SOURCE), name == "reward", name)):
        row = rows[name]
        errors = row.get("standard_error")
        old, new = (_figure(row[key], errors[i] if errors else None) for i, key in enumerate(("before", "after")))
        chosen = [_figure(row.get("best"), row.get("best_standard_error"))] if best else []
        change = f"{(row['after'] / row['before'] - 1) * 100:+.0f}%" if row["before"] > 0 else ""
        table.add_row(name, old, *chosen, new, change)
    measured = (before, *([best] if best else []), after)
    table.add_row("completion tokens", *(f"{sum(s.sampled.lengths) / count:.1f}" for s in measured), "")
    console.print()
    console.print(table)
    for item in samples(before, after, best)[: run.held_out.samples]:
        console.print(f"\n{escape(item['prompt'])}")
        for when in ("before", *(["best"] if best else []), "after"):
            text = escape(item[when].replace("\n", "\\n"))
            console.print(f"  {when:>6}  {item['reward_' + when]:5.2f}  {text}")
    console.print()


def _figure(mean: float | None, error: float | None) -> str:
    return "" if mean is None else f"{mean:.3f}" + (f" ± {1.96 * error:.3f}" if error is not None else "")


def choice_lines(choice: dict[str, Any], apart: bool) -> list[str]:
    """What the choice of a checkpoint says of itself (``selection`` of the manifest), a line each.

    Args:
        apart: the rows that chose are others than those of the table.
    """
    measured, cost = choice["measured"], choice["cost"]
    step = "what it began with" if choice["step"] == choice["began"] else f"step {choice['step']}"
    own = choice["task"] == HELD_OUT
    rows = f"{choice['rows']} " + (f"{'other ' if apart else ''}held-out rows" if own else f"rows of {choice['task']}")
    said = [f"best: {step}, by {choice['metric']} of {rows} at {len(measured)} steps: {choice['why']}"]
    if choice["optimism"] is not None and len(measured) > 1:
        held = "the table's rows chose nothing" if apart or not own else "and the table has the rows that chose"
        said.append(f"the highest of {len(measured)} means overstates itself by about {choice['optimism']:.3f}; {held}")
    said.append(f"measuring took {cost['seconds']:.1f} s, {cost['share']:.0%} of the run until training ended")
    return [*said, *([f"warning: {choice['disagreement']}"] if "disagreement" in choice else [])]
