"""Which rows of the test split are held-out rows, and what each of them is for.

Half of them choose, half of them report: what a checkpoint, a threshold or a stop was chosen by says nothing honest
about it afterwards. Which half a row is in follows from its prompt alone, not from its place in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.compose.schema import Draw
from rlexp.errors import RunError
from rlexp.inputs import snapshot
from rlexp.inputs.messages import prompt_hash
from rlexp.inputs.mixture import SOURCE


class Half(Enum):
    """What held-out rows are for."""

    report = "report"
    """Compared before and after training, and nothing else."""
    select = "select"
    """Measured on the way: what may choose."""


def rows_of(run: Run, snapshot_dir: Path, half: Half, split: str = "test") -> list[int]:
    """The rows of the test split that a run measures, by their place in it.

    Args:
        snapshot_dir: the folder of the snapshot.
        split: another one.

    Returns:
        ``held_out.rows`` of them at most. Where ``held_out.draw`` is ``first`` the halves are the same: the first ones.

    Raises:
        RunError: there is no such row.
    """
    table = snapshot.read(snapshot_dir / f"{split}.parquet", ["prompt", SOURCE])
    wanted = run.held_out.rows
    if run.held_out.draw is Draw.first:
        return list(range(min(wanted, table.num_rows)))
    prompts = table["prompt"].to_pylist()
    sources = table[SOURCE].to_pylist() if SOURCE in table.column_names else [None] * len(prompts)
    drawn = draw(prompts, sources, half)[:wanted]
    if not drawn:
        raise RunError(
            f"the held-out rows ({len(prompts)}) have one prompt, which reports: none is left to measure on the way",
            where="held_out.every",
            hint="hold out more rows, or type held_out.every=0",
        )
    return drawn


def draw(prompts: Sequence[Any], sources: Sequence[Any], half: Half) -> list[int]:
    """The rows of a half, in an order whose every beginning holds each source by its share.

    Rows with the same prompt are in the same half. Of each source the prompts, ordered by their hash, go to the halves
    in turn.

    Args:
        prompts: of each row, a text or messages.
        sources: where each row came from; of any type, None included.

    Returns:
        Places in ``prompts``.
    """
    by_prompt: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        by_prompt.setdefault(prompt_hash(prompt), []).append(place)
    by_source: dict[str, list[str]] = {}
    for key in sorted(by_prompt):
        by_source.setdefault(str(sources[by_prompt[key][0]]), []).append(key)
    begin = list(Half).index(half)
    ordered = []
    for source, keys in by_source.items():
        own = keys[begin :: len(Half)]
        ordered += [((rank + 0.5) / len(own), source, key) for rank, key in enumerate(own)]
    return [place for _, _, key in sorted(ordered) for place in by_prompt[key]]
