"""The completions that a run stored while it trained, a file a step. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.compose.run import Run
from rlexp.errors import RunError, nearest
from rlexp.evaluate.samples import Drawn, Piece
from rlexp.reward.reasons import Reasons
from rlexp.reward.rubric import READ

FOLDER = "completions"


def steps(folder: Path) -> list[int]:
    """The steps whose completions lie in a run folder, in order."""
    return sorted(int(path.stem.removeprefix("step-")) for path in (folder / FOLDER).glob("step-*.parquet"))


def read(folder: Path, wanted: Sequence[int]) -> dict[str, list[Any]]:
    """Every stored completion of these steps, column by column, with its ``step``.

    Raises:
        RunError: there are none.
    """
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {}
    for step in wanted:
        table = pq.ParquetFile(folder / FOLDER / f"step-{step:06d}.parquet").read().to_pydict()
        table["step"] = [step] * len(table["completion"])
        for name, values in table.items():
            columns.setdefault(name, []).extend(values)
    if "group" not in columns:
        raise RunError(
            "the run kept no completions",
            where=str(folder / FOLDER),
            hint="name a run of an online method (grpo, rloo) made with this version",
        )
    return columns


def parse_steps(text: str, present: Sequence[int], folder: Path) -> list[int]:
    """The steps that ``step=`` names, of those that were stored: ``120``, ``last``, ``1,5``, ``1..20``.

    Raises:
        RunError: it cannot be read, or names a step that was not stored.
    """
    where = f"step={text}"
    if not present:
        raise RunError(
            "the run stored no completions",
            where=str(folder / FOLDER),
            hint="name a run of an online method (grpo, rloo); without step= completions are sampled",
        )
    if text == "last":
        return [present[-1]]
    if span := re.fullmatch(r"(\d+)\.\.(\d+)", text):
        found = [step for step in present if int(span[1]) <= step <= int(span[2])]
        if found:
            return found
        asked = [int(span[1])]
    elif re.fullmatch(r"\d+(,\d+)*", text):
        asked = [int(part) for part in text.split(",")]
    else:
        guess = nearest(text, ["last"])
        raise RunError(f"{text!r} is no step", where=where, hint=f"type step={guess or present[-1]}, 1,5 or 1..20")
    for step in asked:
        if step not in present:
            near = min(present, key=lambda other: abs(other - step))
            raise RunError(
                f"no completions of step {step} were stored: there are {len(present)} steps, "
                f"{present[0]} to {present[-1]}",
                where=where,
                hint=f"type step={near}",
            )
    return asked


def drawn(run: Run, folder: Path, step: int, reasons: Reasons) -> Drawn:
    """The completions of one step."""
    columns = read(folder, [step])
    size, prompts, texts = run.num_generations, columns["prompt"], columns["completion"]
    first = range(0, len(texts), size)
    own = {name.removeprefix(READ): values for name, values in columns.items() if name.startswith(READ)}
    shown = {name: values for name, values in own.items() if name != "completion_ids"}
    lengths: list[int | None] = [None] * len(texts)
    if "completion_ids" in own:
        lengths = [len(ids) for ids in own["completion_ids"]]
    lengths = columns.get("tokens", lengths)
    seen = {**own, "prompt": prompts, "completion": texts}
    return Drawn(
        groups=[f"step {step}, group {columns['group'][n]}" for n in first],
        prompts=[(Piece(prompts[n]),) for n in first],
        prompt_tokens=[None for _ in first],
        columns=[{name: values[n] for name, values in shown.items()} for n in first],
        targets=[() for _ in first],
        completions=texts,
        pieces=[(Piece(text),) for text in texts],
        tokens=lengths,
        cut=columns.get("cut", [None] * len(texts)),
        scores={name: columns[name] for name in run.reward.terms if name in columns},
        rewards=columns["reward"],
        reasons=[reasons.of({name: values[n] for name, values in seen.items()}) for n in range(len(texts))],
    )
