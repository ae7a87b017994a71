"""``dataset=hub:ORG/NAME[:configuration][@revision]`` and ``dataset=FILE``: an option that no file holds.

Its type is that of the method unless one is typed. The rows are read by data_prep/hub.py and data_prep/local.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp.compose import hub_files, typed_ids
from rlexp.errors import RunError

ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".json.gz", ".csv.gz", ".tsv.gz")
"""The endings of files of rows (``inputs.read_rows``)."""
TYPE = "${rlexp.dataset_type:${method.name}}"
"""The type that the run's method trains on (``compose.methods``)."""


def tree(option: str, root: Path) -> dict[str, Any]:
    """The content of an option that is an id of the hub or a file.

    Args:
        option: ``hub:ORG/NAME[:configuration][@revision]``, or a file from the project's folder.
        root: the project's folder.

    Raises:
        RunError: it is no id, the hub does not know it, or there is no such file of rows.
    """
    if not option.startswith(typed_ids.PREFIX):
        if not (root / option).exists():
            typed_ids.refuse_sum(option)
        return _of_file(option, root)
    found = typed_ids.parse("dataset", option)
    params = {"hub_id": found.hub_id, "revision": hub_files.commit_of(found.hub_id, found.revision, "dataset")}
    params |= {"configuration": found.configuration} if found.configuration else {}
    params |= {"split": "train", "type": "${dataset.type}"}
    return {"name": typed_ids.name_of(found.hub_id), "type": TYPE, "prepare": "hub", "params": params}


def _of_file(option: str, root: Path) -> dict[str, Any]:
    file = root / option
    where = f"dataset={option}"
    if file.is_dir():
        hint = "name a file of rows: type dataset=FOLDER/FILE.jsonl"
        if (file / "snapshot.json").is_file():
            hint = f"it is a snapshot: type dataset.path={option}"
        raise RunError(f"{option} is a folder, and a data set is a file of rows", where=where, hint=hint)
    ending = next((one for one in reversed(ENDINGS) if file.name.endswith(one)), None)
    if ending is None:
        hint = "convert it to JSON, one object a line: NAME.jsonl"
        if like := typed_ids.HUB_ID.fullmatch(option):
            hint = f"{hint}; a data set of the hub: type dataset={typed_ids.PREFIX}{like['hub_id']}"
        raise RunError(f"{option} is no file of rows ({', '.join(ENDINGS)})", where=where, hint=hint)
    # Whether it is there, and what is called nearly so, is said of dataset.params.file.
    name = typed_ids.name_of(file.name.removesuffix(ending))
    return {"defaults": ["local", "_self_"], "name": name, "type": TYPE, "params": {"file": Path(option).as_posix()}}
