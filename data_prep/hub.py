"""Rows of a data set of the Hugging Face hub, at a commit.

Its parquet, JSON and CSV files are read as the hub's own viewer reads them: by the ``configs`` of its README, else by
their names. They come from huggingface_hub's cache where they are there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlexp.compose import hub, hub_files
from rlexp.errors import RunError, nearest
from rlexp.inputs import read_rows
from rlexp.inputs.digest import file_md5
from rlexp.inputs.rows_of_type import of_type, require_type
from rlexp.inputs.rows_split import one_kind_a_column, split_rows

HERE = "data_prep/hub.py"
BUILDERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "csv", ".arrow": "arrow"}
TEXT = (".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz", ".json.gz", ".csv.gz", ".tsv.gz")
PACKED = (".gz", ".zst", ".bz2", ".xz")
# Path in the repository -> md5 of each file that was read; the snapshot's description holds it.
files_read: dict[str, str] = {}
# What was recognised in the rows; the snapshot's description holds it.
recognised: list[str] = []
Row = dict[str, Any]


def rows(
    hub_id: str,
    revision: str,
    configuration: str | None = None,
    split: str = "train",
    rows: Sequence[int] | None = None,
    columns: Mapping[str, str] | None = None,
    type: str = "prompt_only",
    test: float | int | None = None,
    seed: int = 0,
    system: str | None = None,
) -> dict[str, list[dict]]:
    """Rows of a TRL dataset type, as data_prep/local.py makes them of a file.

    Args:
        hub_id: the data set, ``ORG/NAME``.
        revision: its commit, 40 hex digits.
        configuration: of those that its README names; None where there is one, or a default.
        split: the split to train on.
        rows: ``[first, end]`` of that split, counted from 0, the end not included; None for all.
        columns: target name -> the data set's name, such as ``{"prompt": "question"}``, or a dotted path.
        type: prompt_only, preference, prompt_completion or unpaired_preference.
        test: the share (0.1) or number (200) of rows to hold out; None: the split ``test`` where there is one, whose
            prompts are left out of the rows to train on; else 0.1.
        seed: draws the held-out rows.
        system: a system message to put before every prompt that has none.

    Raises:
        RunError: the hub cannot be reached or does not show it; a configuration, split, row or column is not there
            (those that are, are named); it needs code of its own; a row is malformed.
    """
    require_type(type, HERE)
    source = Source(hub_id, revision, configuration)
    raw = source.read(split, rows)
    own = of_type(raw, f"{hub_id}, {split}", dict(columns or {}), type, system, "the data set", recognised)
    if test is None and "test" in source.splits and split != "test":
        held_out = of_type(
            source.read("test", None), f"{hub_id}, test", dict(columns or {}), type, system, "the data set", recognised
        )
        recognised.extend(one_kind_a_column(own | held_out))
        test_rows = list(held_out.values())
        prompts = {str(row["prompt"]) for row in test_rows}
        train_rows = [row for row in own.values() if str(row["prompt"]) not in prompts]
        if not train_rows or train_rows[0].keys() != test_rows[0].keys():
            raise RunError(
                "its split test has other columns" if train_rows else "every row has a prompt of its split test",
                where=f"{hub_id}, {split} and test",
                hint="hold out a share of the rows instead: type dataset.params.test=0.1",
            )
    else:
        recognised.extend(one_kind_a_column(own))
        share = 0.1 if test is None else test
        train_rows, test_rows = split_rows(list(own.values()), share, seed, HERE, "the data set")
    return {"train": train_rows, "test": test_rows}


class Source:
    """The data files of one configuration of a data set at its commit."""

    def __init__(self, hub_id: str, revision: str, configuration: str | None) -> None:
        from datasets.data_files import get_data_patterns, sanitize_patterns

        self.hub_id, self.where = hub_id, f"{hub_id} at {revision[:12]}"
        configs = _configs(hub_id, revision)
        name = self._configuration(configs, configuration)
        self.config = configs.get(name, {})
        stated = self.config.get("data_files")
        patterns = sanitize_patterns(stated) if stated else None
        below = str(self.config.get("data_dir") or "")
        wanted = [str(Path(below) / one) for many in (patterns or {}).values() for one in many]
        self.root = hub_files.folder_of(hub_id, revision, ["README.md", *wanted] if patterns else None)
        self.base = self.root / below
        try:
            patterns = patterns or get_data_patterns(str(self.base))
        except FileNotFoundError:
            patterns = {}
        self.splits = {str(split): files for split, many in patterns.items() if (files := self._files(list(many)))}
        if not self.splits:
            code = next(iter(sorted(path.name for path in self.root.glob("*.py"))), None)
            raise RunError(
                f"the data set is made by code of its own ({code}), which is not run"
                if code
                else f"the data set has no files that are read ({', '.join(BUILDERS)})",
                where=self.where,
                hint="export its rows to a file, and type dataset=local dataset.params.file=FILE",
            )

    def _configuration(self, configs: Mapping[str, Any], wanted: str | None) -> str:
        names = list(configs) or ["default"]
        if wanted in names:
            return wanted
        if wanted is None:
            chosen = [name for name in names if configs.get(name, {}).get("default") or name == "default"]
            if chosen or len(names) == 1:
                return (chosen or names)[0]
        near = nearest(wanted, names) if wanted else names[0]
        shown = ", ".join(names[:20]) + (", ..." if names[20:] else "")
        what = f"the data set has no configuration {wanted!r}" if wanted else "the data set has several configurations"
        raise RunError(
            f"{what}: it has {shown}", where=self.where, hint=f"type dataset=hub:{self.hub_id}:{near or names[0]}"
        )

    def _files(self, patterns: list[str]) -> list[Path]:
        from datasets.data_files import resolve_pattern

        found: list[Path] = []
        for pattern in patterns:
            try:
                found += [Path(file) for file in resolve_pattern(pattern, str(self.base))]
            except FileNotFoundError:
                continue
        inside = (one for one in dict.fromkeys(found) if Path(os.path.abspath(one)).is_relative_to(self.root))
        return [file for file in inside if _ending(file) in BUILDERS]

    def read(self, split: str, wanted: Sequence[int] | None) -> dict[str, Row]:
        """The rows of a split by their place: all, or those from ``wanted[0]`` up to ``wanted[1]``."""
        import datasets

        if split not in self.splits:
            near = nearest(split, self.splits) or next(iter(self.splits))
            raise RunError(
                f"the data set has no split {split!r}: it has {', '.join(self.splits)}",
                where=self.where,
                hint=f"type dataset.params.split={near}",
            )
        files = self.splits[split]
        ending = _ending(files[0])
        extra = {key: self.config[key] for key in ("sep", "names", "field") if key in self.config}
        if ending == ".tsv":
            extra.setdefault("sep", "\t")
        files_read.update({file.relative_to(self.root).as_posix(): file_md5(file) for file in files})
        if not extra.keys() - {"sep"} and all(file.name.endswith(TEXT) for file in files):
            # As a file of one's own is: datasets takes a key that stands twice, and rounds large integers.
            found = [row for file in files for row in self._rows(file)]
            first, end = self._range(wanted, len(found))
            return {f"row {number}": row for number, row in enumerate(found[first:end], start=first)}
        datasets.disable_progress_bars()
        try:
            with tempfile.TemporaryDirectory() as cache:
                loaded = datasets.load_dataset(
                    BUILDERS[ending],
                    data_files=[str(file) for file in files if _ending(file) == ending],
                    split="train",
                    cache_dir=cache,
                    **extra,
                )
                first, end = self._range(wanted, len(loaded))
                read = loaded.select(range(first, end)).to_list()
        except (OSError, ValueError, ImportError, datasets.exceptions.DatasetsError) as error:
            raise RunError(
                f"the split {split} cannot be read: {str(error).splitlines()[0][:200]}",
                where=self.where,
                hint="export its rows to a file, and type dataset=local dataset.params.file=FILE",
            ) from error
        return {f"row {number}": read_rows.without_shared_keys(row) for number, row in enumerate(read, start=first)}

    def _rows(self, file: Path) -> list[Row]:
        rows, notes = read_rows.read(file)
        recognised.extend(note for note in notes if note not in recognised)
        return list(rows.values())

    def _range(self, wanted: Sequence[int] | None, total: int) -> tuple[int, int]:
        if wanted is None:
            return 0, total
        numbers = [one for one in wanted if isinstance(one, int) and not isinstance(one, bool)]
        if len(numbers) != 2 or len(wanted) != 2 or not 0 <= numbers[0] < numbers[1]:
            raise RunError(
                f"rows={list(wanted)} is no range of rows",
                where="dataset.params.rows",
                hint=f"type dataset.params.rows=[0,{min(total, 1000)}]: the first, and the one behind the last",
            )
        if numbers[1] > total:
            raise RunError(
                f"rows={list(wanted)} goes beyond the end: the split has {total} rows",
                where="dataset.params.rows",
                hint=f"type dataset.params.rows=[{numbers[0] if numbers[0] < total else 0},{total}]",
            )
        return numbers[0], numbers[1]


def _configs(hub_id: str, revision: str) -> dict[str, dict[str, Any]]:
    """Configuration -> what the README's metadata say of it; none where they say nothing."""
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard

    try:
        readme = hub_files.file_of(hub_id, revision, "README.md", "dataset")
    except hub.Unreachable:
        if not (hub.cache(hub_id, "dataset") / "snapshots" / revision).is_dir():
            raise
        readme = None  # of what is in the cache there is none
    if readme is None or not readme.read_text(encoding="utf-8").startswith("---"):
        return {}
    try:
        card = DatasetCard(readme.read_text(encoding="utf-8"), ignore_metadata_errors=True)
        return dict(MetadataConfigs.from_dataset_card_data(card.data))
    except (ValueError, TypeError, AttributeError) as error:
        raise RunError(
            f"the README of the data set cannot be read: {str(error).splitlines()[0][:200]}",
            where=f"{hub_id} at {revision[:12]}",
            hint="take another revision, or export its rows to a file: dataset=local dataset.params.file=FILE",
        ) from error


def _ending(file: Path) -> str:
    return Path(file.stem).suffix if file.suffix in PACKED else file.suffix
