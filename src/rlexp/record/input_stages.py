"""Which command makes an input of a lock: a stage of DVC, the script that was kept with the run, or none."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

from rlexp.compose.places import Places
from rlexp.compose.points import points
from rlexp.errors import RunError
from rlexp.inputs.digest import file_md5, folder_md5
from rlexp.project import CONF, shipped
from rlexp.record.dvc_repository import makers


def stage_name(group: str, path: str) -> str:
    return re.sub(r"[^\w-]+", "_", f"{group}_{Path(path).name}")  # DVC takes no + in the name of a stage


def not_made(repo: Any, root: Path, path: str) -> str:
    """The note on an input that no stage makes: how a colleague can have it all the same."""
    place = Path(os.path.abspath(root / path))
    folder = "data" if (place / "snapshot.json").is_file() else "models"
    if not place.is_relative_to(root):
        return f"{path} lies outside of the project: copy it to {folder}/ and train that, for a colleague to have it"
    if repo.dvcignore.is_ignored_dir(str(place)) or repo.dvcignore.is_ignored(repo.fs, str(place)):
        return f"no stage makes {path}, where DVC sees nothing (.dvcignore): copy it to {folder}/ first, and train that"
    return f"no stage makes {path}: dvc add it, and dvc push, for a colleague to have it"


def made_by_dvc(repo: Any, root: Path, group: str, lock: dict[str, Any]) -> bool:
    """Says whether a stage makes the folder; writes one where its script can, or for a mixture where its parts have
    one."""
    digest = lock["inputs"][group]
    if makers(repo, root, digest["path"]):
        return True
    owned = ("dataset", "method", "experiment") if group == "data" else ("model", "experiment")
    typed = [o for o in lock["overrides"] if _key(o).split(".")[0] in owned and _key(o) != "dataset.difficulty"]
    parts = digest.get("source", {}).get("parts", {})
    if parts and parts.keys() == lock["config"]["dataset"].get("parts", {}).keys():
        made = [made_by_dvc(repo, root, group, of_part(lock, name)) for name in parts]
        made.append(_same_parts(root, lock, typed))
        deps = [part["path"] for part in parts.values()]
    else:
        made, script = [_command_makes(root, group, lock, typed)], digest.get("source", {}).get("script", "")
        deps = [script] if (root / script).is_file() else []
    if not all(made):
        return False
    repo.stage.add(
        name=stage_name(group, digest["path"]),
        cmd=" ".join(["python -m rlexp prepare", *map(shlex.quote, typed)]),
        deps=deps,
        outs_persist=[digest["path"]],
        force=True,
    )
    return True


def of_part(lock: dict[str, Any], name: str) -> dict[str, Any]:
    """The lock of a run of the same kind on one part of its mixture: what was typed of the part is of its data set."""
    part, key = lock["config"]["dataset"]["parts"][name], f"dataset.parts.{name}."
    typed = [o for o in lock["overrides"] if _key(o).split(".")[0] != "dataset"]
    typed.append(f"dataset={name}")
    typed += [o.replace(key, "dataset.", 1) for o in lock["overrides"] if _key(o).startswith(key)]
    return {
        "overrides": [o for o in typed if _key(o) != "dataset.weight"],
        "config": {**lock["config"], "dataset": part},
        "inputs": {"data": lock["inputs"]["data"]["source"]["parts"][name]},
    }


def _same_parts(root: Path, lock: dict[str, Any], typed: list[str]) -> bool:
    """Says whether these overrides compose the mixture of the lock, in the place where it is made."""
    option, path = _composed(root, "dataset", typed), lock["inputs"]["data"]["path"]
    if option is None:
        return False
    return option["parts"] == lock["config"]["dataset"]["parts"] and option["path"] == path == f"data/{option['name']}"


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def made_by_replay(source: dict[str, Any], sources: Path) -> bool:
    """Says whether a replay makes the folder anew: its script was kept with the run, and reads no file; so were those
    of every part of a mixture."""
    if "parts" in source:
        return all(made_by_replay(part["source"], sources) for part in source["parts"].values())
    kept = sources / source["script"] if source.get("script") and not source.get("files") else None
    return bool(kept and kept.is_file() and file_md5(kept) == source["script_md5"])


def is_shipped(root: Path, path: str) -> bool:
    """Says whether a model is rlexp's own, which every installation has, and the project has no other one of it."""
    own = shipped() / path
    return (
        own.is_dir()
        and root != shipped()
        and (not (root / path).exists() or folder_md5(root / path) == folder_md5(own))
    )


def _command_makes(root: Path, group: str, lock: dict[str, Any], typed: list[str]) -> bool:
    """Says whether ``prepare`` with these overrides makes this folder where there is none: composed, it names the
    folder and the script as its own, with the parameters that the lock has, and the script is the locked one."""
    digest, key = lock["inputs"][group], "dataset" if group == "data" else "model"
    source = digest.get("source", {})
    script = source.get("script", "")
    there = Places.of(root).path(script)
    if source.get("files") or not there.is_file() or source.get("script_md5") != file_md5(there):
        return False
    option = _composed(root, key, typed)
    if option is None:
        return False
    folder = f"{'data' if group == 'data' else 'models'}/{option['name']}"
    made = script == f"data_prep/{option['prepare']}.py" and option["path"] == digest["path"] == folder
    return made and option["params"] == source.get("params", lock["config"][key]["params"])


def _composed(root: Path, group: str, typed: list[str]) -> dict[str, Any] | None:
    """A group as these overrides compose it; None where they do not any more."""
    try:
        found: dict[str, Any] = points(root / CONF, typed, multirun=False)[0].run.config()[group]
    except RunError:  # conf/ has moved on
        return None
    return found
