"""The checkpoint that a run chose on its way (``held_out.every``): the shapes of its record, and the one reader.

The choice is read from the manifest; of a run that has not ended, from the last line of SELECTION. LINK is for people:
it is written, and never followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp import shapes
from rlexp.errors import RunError
from rlexp.shapes import COUNT, TEXT, record
from rlexp.whole import fault, of

SELECTION = "selection.jsonl"
"""A line for every measured step, of the run folder."""
LINK = "best"
"""The link of a run folder to the weights that were chosen."""
MANIFEST = "manifest.json"
FIGURE = {"type": "number", "minimum": -1e300, "maximum": 1e300}
STEPS = {"type": "array", "items": COUNT, "maxItems": 100_000}
LINE = record(
    {
        "step": COUNT,
        "began": COUNT,
        "metric": TEXT,
        "task": TEXT,
        "values": {"type": "array", "items": {"anyOf": [FIGURE, {"type": "null"}]}},
        "kept": STEPS,
        "chosen": {"anyOf": [COUNT, {"type": "null"}]},
        "timing": record({"seconds": FIGURE}),
    }
)
"""The shape of a line of SELECTION: ``began``, the step that the training began with; one value a row, None where it
has no score; the steps whose checkpoints are kept for the choice from here on, and the one that would be chosen now."""
MEASURED = record({"step": COUNT, "mean": FIGURE, "standard_error": {"anyOf": [FIGURE, {"type": "null"}]}})
SHAPE = record(
    {"metric": TEXT, "task": TEXT, "rows": COUNT, "began": COUNT, "step": COUNT, "best": COUNT, "why": TEXT},
    {
        "candidates": STEPS,
        "measured": {"type": "array", "items": MEASURED},
        "optimism": {"anyOf": [FIGURE, {"type": "null"}]},
        "cost": record({"seconds": FIGURE}, {"share": FIGURE}),
        "disagreement": TEXT,
    },
)
"""The shape of ``selection`` in a manifest."""
_READ = record({}, {"selection": SHAPE, "steps": record({"done": COUNT})})


@dataclass(frozen=True)
class Best:
    """The weights that a run chose."""

    step: int
    folder: Path
    """Its checkpoint; of the last step also what the run left at its end."""


def lines(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of SELECTION; none where there is no such file. One that a kill cut in the middle is left out.

    Raises:
        RunError: it cannot be read, or a line has another shape.
    """
    return shapes.read_lines(run_dir / SELECTION, LINE)


def read(run_dir: Path) -> dict[str, Any] | None:
    """``selection`` of the manifest; None where there is none.

    Raises:
        RunError: the manifest cannot be read, or has another shape.
    """
    return (shapes.read_json(run_dir / MANIFEST, _READ, "manifest", shown=True) or {}).get("selection")


def best(run_dir: Path, where: str, otherwise: str) -> Best:
    """The weights that a run chose.

    Args:
        where: what was typed, for the message.
        otherwise: what is typed instead where there are none, such as ``model.start=RUN``.

    Raises:
        RunError: the run chose none, what it began with was not beaten, or the checkpoint is not whole.
    """
    selection, measured = read(run_dir), lines(run_dir)
    if selection is None and measured:
        last = measured[-1]
        selection = None if last["chosen"] is None else {"step": last["chosen"], "began": last["began"]}
    if selection is None:
        raise RunError(
            f"{run_dir.name} has no best checkpoint: it measured none while it trained",
            where=where,
            hint=f"type {otherwise}; a run with held_out.every=10 chooses one",
        )
    step = selection["step"]
    if step == selection["began"]:
        raise RunError(
            f"no checkpoint of {run_dir.name} is the best: none was measured better than step {step}, which it began "
            "with",
            where=where,
            hint=f"type {otherwise} for what it left",
        )
    folder = of(run_dir).get(step)
    why = fault(folder) if folder else "it is not there"
    if folder and why is None:
        return Best(step, folder)
    manifest = shapes.read_json(run_dir / MANIFEST, _READ, "manifest") or {}
    if manifest.get("steps", {}).get("done") == step:
        for left in (run_dir / "adapter", run_dir / "model"):
            if left.is_dir() and fault(left) is None:
                return Best(step, left)
    raise RunError(
        f"the checkpoint of step {step}, which {run_dir.name} chose, cannot be used: {why}",
        where=where,
        hint=f"type {otherwise} for what it left, or put {run_dir.name}/checkpoints/checkpoint-{step} back",
    )
