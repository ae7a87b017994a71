"""How hard the training rows of a snapshot are for a model: a folder beside it, ``data/NAME.difficulty``.

``rates.parquet`` holds one line for each training row, in their order: the prompt's hash, its pass rate, how many of
its completions have a score. ``difficulty.json`` says of which snapshot, model and reward, and how they were sampled.
It is never written over, and what a run filtered by is in its lock by hash.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp import files, shapes
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.inputs import pass_rates, snapshot
from rlexp.inputs.digest import combined_md5, file_md5, folder_md5, folder_md5s, other_file
from rlexp.inputs.messages import prompt_hash
from rlexp.inputs.mixture import SOURCE
from rlexp.inputs.pass_rates import Rate, Rates
from rlexp.inputs.reward_source import RewardSource
from rlexp.shapes import COUNT, INSIDE, MD5, NAME, TEXT, mapping, record

DESCRIPTION, RATES = "difficulty.json", "rates.parquet"
COLUMNS = ("prompt", "rate", "known")
_MAYBE_TEXT = {"anyOf": [TEXT, {"type": "null"}]}
_POSITIVE = {**COUNT, "minimum": 1}
SCHEMA = record(
    {
        "snapshot": MD5,
        "model": record({"name": NAME, "md5": MD5, "hub_id": _MAYBE_TEXT, "revision": _MAYBE_TEXT}),
        "reward": record(
            {"term": NAME, "file": INSIDE, "md5": MD5, "version": {"type": "integer"}, "params": mapping({})}
        ),
        "at": {"type": "number", "description": "a number"},
        "n": _POSITIVE,
        "first": {"anyOf": [_POSITIVE, {"type": "null"}]},
        "sampling": mapping({}),
        "seed": COUNT,
        "rates": record({"md5": MD5, "rows": COUNT, "sampled": COUNT, "known": COUNT}),
    }
)
"""The shape of ``difficulty.json``."""
LOCKED = record(
    {
        "path": {
            "type": "string",
            "maxLength": 300,
            "pattern": r"\Adata/(?!\.)[\w.+@=,-]+\.difficulty\Z",
            "description": "a folder data/NAME.difficulty",
        },
        "md5": MD5,
        "files": mapping(MD5, {"enum": [DESCRIPTION, RATES]}),
    },
    {"model": NAME, "term": NAME, "n": _POSITIVE, "kept": COUNT, "rows": COUNT},
)
"""The shape of what a lock says of the rates that a run filtered by."""


@dataclass(frozen=True)
class Filter:
    """The training rows that ``dataset.difficulty`` keeps."""

    folder: Path
    description: dict[str, Any]
    """The content of ``difficulty.json``."""
    rows: int
    """Training rows that there were to choose from."""
    kept: tuple[int, ...]
    """The numbers of those that are kept, in their order."""
    unknown: int
    """Of those left out, the ones without a pass rate."""
    by_source: dict[str, int]
    """Part of a mixture -> how many rows of it are kept; empty for one data set."""

    @property
    def source(self) -> str:
        """The model and the number of completions that the rates are of."""
        return f"{self.description['model']['name']}, n={self.description['n']}"

    def digest(self, run: Run) -> dict[str, Any]:
        """What a lock holds of it, as it lies on disk now."""
        md5s = folder_md5s(self.folder, (DESCRIPTION, RATES))
        about = {"model": self.description["model"]["name"], "term": self.description["reward"]["term"]}
        about |= {"n": self.description["n"], "kept": len(self.kept), "rows": self.rows}
        return {"path": path(run), "md5": combined_md5(md5s), "files": md5s, **about}


def path(run: Run) -> str:
    """The folder of the rates of a run's data set, from the project folder."""
    return f"data/{run.dataset.name}.difficulty"


def command(run: Run) -> str:
    """What to type for rates of this data set."""
    return f"python -m rlexp difficulty dataset={run.dataset.name}, with the overrides of this run"


def describe(folder: Path) -> dict[str, Any] | None:
    """What a folder says of its rates; None where there is no such folder.

    Raises:
        RunError: it is something else, or not whole.
    """
    shown = f"{folder.parent.name}/{folder.name}"
    found = shapes.read_json(folder / DESCRIPTION, SCHEMA, "description of pass rates")
    if found is None and folder.exists():
        what = f"{folder.name} holds no pass rates: it has no {DESCRIPTION}"
        raise RunError(what, where=str(folder), hint=f"mv {shown} {shown}_old, and type the same again")
    if found and (other := other_file(folder, (DESCRIPTION, RATES))):
        what = f"{shown} holds a file that is none of its own: {other}"
        raise RunError(what, where=str(folder / other), hint=f"rm {shown}/{other}, or mv it elsewhere")
    if found and not ((folder / RATES).is_file() and file_md5(folder / RATES) == found["rates"]["md5"]):
        raise RunError(
            f"{RATES} is not the file that was written: edited by hand, or damaged",
            where=str(folder / RATES),
            hint=f"mv {shown} {shown}_edited, and measure them again: python -m rlexp difficulty",
        )
    return found


def read(folder: Path, description: Mapping[str, Any]) -> Rates:
    """The pass rate of every training row of a folder that was described.

    Raises:
        RunError: the file is damaged, or holds something else than rates.
    """
    table = snapshot.read(folder / RATES)
    rates = table.column("rate").to_pylist() if tuple(table.column_names) == COLUMNS else []
    fits = len(rates) == description["rates"]["rows"]
    if not fits or not all(rate is None or (isinstance(rate, float) and 0 <= rate <= 1) for rate in rates):
        what = f"{RATES} does not hold a pass rate from 0 to 1 for each of {description['rates']['rows']} rows"
        raise RunError(what, where=str(folder / RATES), hint=shapes.HINT)
    return rates


def write(
    folder: Path, hashes: Sequence[str], rates: Sequence[Rate], asked: Mapping[str, Any], sampled: int
) -> dict[str, Any]:
    """Writes rates; the folder appears whole or not at all, and the same rates are the same bytes.

    Args:
        hashes: of the prompt of each training row (``prompt_hashes``).
        rates: as many.
        asked: of what they are, and how they were sampled: SCHEMA without ``rates``.
        sampled: prompts that were sampled; equal ones count once.

    Returns:
        The content of ``difficulty.json``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = (list(hashes), [rate.share for rate in rates], [rate.known for rate in rates])
    kinds = (pa.string(), pa.float64(), pa.int32())
    table = pa.table(dict(zip(COLUMNS, map(pa.array, columns, kinds), strict=True)))
    with files.whole_folder(folder, first_wins=True) as partial:
        pq.write_table(table, partial / RATES, compression="zstd")
        known = sum(rate.known > 0 for rate in rates)
        about = {"md5": file_md5(partial / RATES), "rows": len(rates), "sampled": sampled, "known": known}
        content = {**asked, "rates": about}
        (partial / DESCRIPTION).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    return describe(folder) or content


def prompt_hashes(data: Path) -> list[str]:
    """The hash of the prompt of every training row of a snapshot."""
    prompts = snapshot.read(data / "train.parquet", ["prompt"]).column("prompt").to_pylist()
    return [prompt_hash(prompt)[:32] for prompt in prompts]


def find(
    run: Run, folder: Path, data: Path, description: Mapping[str, Any] | None, rewards: Mapping[str, RewardSource]
) -> Filter | None:
    """The rows that ``dataset.difficulty`` keeps; None where nothing is filtered, or the snapshot is not there yet.

    Args:
        folder: of the rates.
        data: the folder of the snapshot.
        description: that of the snapshot.
        rewards: the run's reward terms.

    Raises:
        RunError: there are no rates, they are of other rows or of another reward, or no row is left.
    """
    if run.dataset.difficulty is None:
        return None
    found = describe(folder)
    if found is None:
        raise RunError(
            f"there are no pass rates of {run.dataset.name} to filter by",
            where=f"dataset.difficulty: {path(run)}",
            hint=f"measure them first: {command(run)}; or leave out dataset.difficulty",
        )
    if description is None:
        return None
    rows = description["splits"].get("train", {}).get("rows")
    _require_same(run, found, folder_md5(data) if rows == found["rates"]["rows"] else "", rewards)
    # Of a mixture train_rows counts what its weights have made of the rows that are kept.
    rates = read(folder, found)[: None if run.dataset.parts else run.dataset.train_rows]
    low, high = run.dataset.difficulty
    kept = pass_rates.between(rates, low, high)
    if len(kept) < run.prompts_per_step:
        seen = pass_rates.in_words(rates)
        raise RunError(
            f"{len(kept) or 'none'} of {len(rates)} rows of {run.dataset.path} have a pass rate from {low:g} to "
            f"{high:g}, and a step takes {run.prompts_per_step} different prompts",
            where="dataset.difficulty",
            hint=f"type other bounds, such as dataset.difficulty=[0,1]; rows by their pass rate: {seen}",
        )
    by_source: Counter[str] = Counter()
    if run.dataset.parts:
        sources = snapshot.read(data / "train.parquet", [SOURCE]).column(SOURCE).to_pylist()
        by_source.update(sources[row] for row in kept)
    return Filter(folder, found, len(rates), kept, sum(rate is None for rate in rates), dict(by_source))


def _require_same(run: Run, found: Mapping[str, Any], data: str, rewards: Mapping[str, RewardSource]) -> None:
    """Checks that rates are of this snapshot, and of the run's reward where it learns from it.

    Args:
        data: the hash of the snapshot; empty where it has another number of rows.
    """
    term, of = found["reward"]["term"], []
    if found["snapshot"] != data:
        of.append("another snapshot")
    if term in rewards:
        params = run.config()["reward"]["terms"][term]["params"]
        if (found["reward"]["md5"], found["reward"]["params"]) != (rewards[term].md5, params):
            of.append(f"another version of the reward {term}, or other parameters of it")
    elif run.method.online:
        of.append(f"the reward {term}, and this run has {', '.join(rewards)}")
    if of:
        raise RunError(
            f"the pass rates are of {'; and of '.join(of)}",
            where=f"dataset.difficulty: {path(run)}",
            hint=f"mv {path(run)} {path(run)}_old, and measure them again: {command(run)}",
        )
