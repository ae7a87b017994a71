"""A mixture: one snapshot made of several (``dataset=a+b``), with a column that says from which each row came.

Every row of every part is in it. How often a row is trained on (``weight``) is settled when the rows are loaded.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlexp.compose.run import Run
from rlexp.compose.schema import Dataset, Part
from rlexp.errors import RunError
from rlexp.inputs import snapshot, snapshots
from rlexp.inputs.digest import folder_md5

if TYPE_CHECKING:
    from rlexp.inputs.difficulty import Filter

SOURCE = "source"
"""The column with the name of the part that a row came from."""


def missing(run: Run, root: Path, description: dict[str, Any] | None) -> dict[str, Path]:
    """The parts whose snapshot is to be made, each with its script; none where the mixture is there already.

    Args:
        description: the mixture's; None where it is not there.

    Raises:
        RunError: a part is of something else than asked, or nothing can make it, or the parts do not fit together.
    """
    scripts, found = {}, {}
    for name, one in snapshots.parts(run).items():
        if there := snapshot.describe(root / one.rows.path):
            snapshots.check(one, there, root)
            _require_rows(one, there["splits"].get("train", {}).get("rows", 0))
            found[name] = there
        elif description is None:
            scripts[name] = snapshots.script_of(one, root, run.places)
    require_fitting(found)
    return scripts


def _require_rows(one: snapshots.Asked, rows: int) -> None:
    if (one.rows.train_rows or 0) > rows:
        raise RunError(
            f"train_rows is {one.rows.train_rows}, and {one.rows.path} has {rows} rows to train on",
            where=f"{one.key}.train_rows",
            hint=f"leave {one.key}.train_rows out for all of them",
        )


def check(run: Run, description: dict[str, Any], root: Path) -> None:
    """Checks whether a mixture was made of the parts that are composed now.

    Raises:
        RunError: it was made of others.
    """
    made, wanted = description["source"].get("parts", {}), snapshots.parts(run)
    changed = []
    if made.keys() != wanted.keys():
        changed.append(f"it was made of {' and '.join(made) or 'no parts'}, asked is {' and '.join(wanted)}")
    for name in sorted(made.keys() & wanted.keys()):
        one, then = wanted[name], made[name]
        folder = root / one.rows.path
        if then["path"] != one.rows.path:
            changed.append(f"its rows of {name} are those of {then['path']}, asked is {one.rows.path}")
        elif not (folder / snapshot.DESCRIPTION).is_file():
            changed += [f"{name}: {change}" for change in snapshots.changes(one, then.get("source", {}), root)]
        elif folder_md5(folder) != then["md5"]:
            changed.append(f"{one.rows.path} is another snapshot than the one that it was made of")
        _require_rows(one, then.get("rows", {}).get("train", 0))
    snapshots.require_current(snapshots.asked(run), changed)


def require_fitting(parts: Mapping[str, dict[str, Any]]) -> None:
    """Checks whether the columns of several snapshots can stand in one.

    Args:
        parts: name -> its description.

    Raises:
        RunError: a column is of several types, or a part has a column of the name SOURCE.
    """
    kinds: dict[str, dict[str, list[str]]] = {}
    for name, description in parts.items():
        for column, kind in description["columns"].items():
            if kind != "null":  # it holds nothing, and goes with any other
                kinds.setdefault(column, {}).setdefault(_kind(kind), []).append(name)
        if SOURCE in description["columns"]:
            raise RunError(
                f"{name} has a column {SOURCE}, in which a mixture says from which part a row came",
                where=f"dataset.parts.{name}",
                hint=f"give it another name in its data_prep script (of a file: 'dataset.parts.{name}.params.columns="
                f"{{origin: {SOURCE}}}'), and make the snapshot again under a new name",
            )
    for column, several in kinds.items():
        if len(several) > 1:
            said = "; ".join(f"{' and '.join(names)}: {kind}" for kind, names in several.items())
            raise RunError(
                f"the column {column} is of several types: {said}",
                where="dataset.parts",
                hint=f"give {column} one type in their data_prep scripts, or leave a part out",
            )


def _kind(stored: str) -> str:
    """The type of a column in plain words; dialogues are one type, whatever more their messages hold."""
    if re.match(r"list<", stored) and "role:" in stored and "content:" in stored:
        return "messages"
    return {"string": "text", "large_string": "text", "int64": "whole numbers", "double": "numbers"}.get(stored, stored)


def write(parts: Mapping[str, tuple[Path, dict[str, Any]]], folder: Path) -> None:
    """Makes the snapshot of a mixture, unless another process did: all rows, a row of each part in turn, so that its
    first rows are of every part. Columns that a part lacks are null.

    Args:
        parts: name -> (the folder of its snapshot, what it is: ``snapshot.digest``).

    Raises:
        RunError: the parts do not fit together.
    """
    descriptions = {name: snapshot.describe(place) or {} for name, (place, _) in parts.items()}
    require_fitting(descriptions)
    columns = dict.fromkeys(column for one in descriptions.values() for column in one["columns"])
    splits: dict[str, list[dict[str, Any]]] = {}
    for split in sorted({split for one in descriptions.values() for split in one["splits"]}):
        found = [
            [{SOURCE: name, **row} for row in snapshot.read(parts[name][0] / one["splits"][split]["file"]).to_pylist()]
            for name, one in sorted(descriptions.items())
            if split in one["splits"]
        ]
        turns = itertools.chain.from_iterable(itertools.zip_longest(*found))
        splits[split] = [{name: row.get(name) for name in (*columns, SOURCE)} for row in turns if row is not None]
    source = {"parts": {name: digest for name, (_, digest) in sorted(parts.items())}}
    try:
        snapshot.write(splits, folder, f"A mixture of {', '.join(sorted(parts))}", source)
    except RunError:
        if not (folder / snapshot.DESCRIPTION).is_file():  # nor did another process write it meanwhile
            raise


def rows_by_source(dataset: Dataset, description: dict[str, Any], kept: Filter | None = None) -> dict[str, int]:
    """How many rows of each part a pass over the training rows has, by the weights; nothing of one data set.

    Args:
        kept: the rows that ``dataset.difficulty`` keeps; None for every one.
    """
    made = description["source"].get("parts", {})
    counted = {name: made[name].get("rows", {}).get("train", 0) for name in dataset.parts if name in made}
    if kept:
        counted = {name: kept.by_source.get(name, 0) for name in counted}
    return {name: sum(_times(dataset.parts[name], rows)) for name, rows in counted.items()}


def train_rows(dataset: Dataset, description: dict[str, Any], kept: Filter | None = None) -> int:
    """The rows of a pass over the training rows, before ``dataset.train_rows`` cuts it."""
    if dataset.parts:
        return sum(rows_by_source(dataset, description, kept).values())
    rows: int = description["splits"].get("train", {}).get("rows", 0)
    return len(kept.kept) if kept else rows


def _times(part: Part, rows: int) -> tuple[int, int]:
    """(rows of the passes over all of them, rows of the pass over some) of a part with so many training rows."""
    rows = min(rows, part.train_rows or rows)
    whole = int(part.weight)
    some = round((part.weight - whole) * rows)
    return whole * rows, some if whole or some or not rows else 1


def trained(dataset: Dataset, sources: Sequence[str], seed: int) -> list[int]:
    """The rows that are trained on, by number, as often as the weights say: once all rows, in their order, then those
    of a second time, and so on. Which rows a fraction takes is drawn by the seed.

    Args:
        sources: the column SOURCE of the training rows.
    """
    found: list[tuple[int, int]] = []
    for name, part in dataset.parts.items():
        own = [number for number, source in enumerate(sources) if source == name][: part.train_rows]
        _, some = _times(part, len(own))
        whole = int(part.weight)
        found += [(time, number) for time in range(whole) for number in own]
        found += [(whole, number) for number in random.Random(f"{seed} {name}").sample(own, some)]
    return [number for _, number in sorted(found)]
