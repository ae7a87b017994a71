"""The completions that a run stored while it trained, one file for each step. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.errors import RunError, nearest
from rlexp.inputs import snapshot
from rlexp.record.run_folder import COMPLETIONS


def steps(run_dir: Path) -> list[int]:
    """The steps whose completions lie in a run folder, in order."""
    numbers = (path.stem.removeprefix("step-") for path in (run_dir / COMPLETIONS).glob("step-*.parquet"))
    return sorted(int(number) for number in numbers if re.fullmatch(r"[0-9]{6,12}", number))


def name(step: int) -> str:
    """The file of a step's completions in its run folder."""
    return f"{COMPLETIONS}/step-{step:06d}.parquet"


def read(run_dir: Path, wanted: Sequence[int]) -> dict[str, list[Any]]:
    """Every stored completion of these steps, column by column, with its ``step``.

    Raises:
        RunError: there are none.
    """
    columns: dict[str, list[Any]] = {}
    for step in wanted:
        table = snapshot.read(run_dir / name(step)).to_pydict()
        table["step"] = [step] * len(table["completion"])
        for column, values in table.items():
            columns.setdefault(column, []).extend(values)
    if "group" not in columns:
        raise RunError(
            "the run kept no completions",
            where=str(run_dir / COMPLETIONS),
            hint="name a run of an online method (grpo, rloo) made with this version",
        )
    return columns


def parse_steps(text: str, present: Sequence[int], run_dir: Path) -> list[int]:
    """The steps that ``step=`` names, of those that were stored: ``120``, ``last``, ``1,5``, ``1..20``.

    Raises:
        RunError: it cannot be read, or names a step that was not stored.
    """
    where = f"step={text}"
    if not present:
        raise RunError(
            "the run stored no completions",
            where=str(run_dir / COMPLETIONS),
            hint="name a run of an online method (grpo, rloo); without step= completions are sampled",
        )
    if text == "last":
        return [present[-1]]
    if span := re.fullmatch(r"(\d+)\.\.(\d+)", text):
        found = [step for step in present if int(span[1]) <= step <= int(span[2])]
        if found:
            return found
        wanted = [int(span[1])]
    elif re.fullmatch(r"\d+(,\d+)*", text):
        wanted = [int(part) for part in text.split(",")]
    else:
        guess = nearest(text, ["last"])
        raise RunError(f"{text!r} is no step", where=where, hint=f"type step={guess or present[-1]}, 1,5 or 1..20")
    for step in wanted:
        if step not in present:
            near = min(present, key=lambda other: abs(other - step))
            raise RunError(
                f"no completions of step {step} were stored: there are {len(present)} steps, "
                f"{present[0]} to {present[-1]}",
                where=where,
                hint=f"type step={near}",
            )
    return wanted
