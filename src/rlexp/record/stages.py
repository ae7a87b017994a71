"""DVC's stages of this project: the one that replays the pinned run, and one for each input that none makes yet."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

from rlexp.compose.places import Places
from rlexp.compose.points import points
from rlexp.errors import RunError
from rlexp.inputs import store
from rlexp.inputs.digest import file_md5, folder_md5
from rlexp.project import CONF, shipped
from rlexp.record.dvc_repository import STAGE, makers, repository
from rlexp.record.run_folder import LOCK, METRICS, SOURCES

PINNED, PARAMS = "pinned", "params.yaml"
REPLAY = f"{PINNED}/replay"
SCORES = f"{REPLAY}/scores.json"
"""The held-out numbers, where DVC reads its metrics. Of a replay they are those of the run that is replayed, so that
dvc.lock is the same on every machine."""


def write_stages(lock: dict[str, Any], root: Path, sources: Path) -> list[str]:
    """Writes the stage that replays the pinned run, and one for each input that no stage makes yet.

    DVC deletes the outs of a stage before it runs it. So none is declared but what the stage's command makes in an
    empty place, and those are kept where they are there (``persist``): the command itself never writes over them.

    Args:
        sources: the folder of the files that the run kept.

    Returns:
        What DVC cannot make or restore, and a replay neither.

    Raises:
        RunError: DVC refused; the message says what to do about it.
    """
    inputs, notes, dependencies = lock["inputs"], [], [f"{PINNED}/{name}" for name in (LOCK, METRICS, SOURCES)]
    with repository(root) as repo:
        for group in ("data", "model"):
            digest = inputs[group]
            if "path" not in digest or (group == "model" and _is_shipped(root, digest["path"])):
                continue
            if _made_by_dvc(repo, root, group, lock):
                dependencies.append(digest["path"])
            elif not _made_by_replay(digest.get("source", {}), sources):
                notes.append(_not_made(repo, root, digest["path"]))
        for digest in (inputs["data"], *inputs["data"].get("source", {}).get("parts", {}).values()):
            if folder_md5(root / digest["path"]) == digest["md5"]:
                store.keep(root, root / digest["path"])
            elif digest is inputs["data"]:
                notes.append(f"{digest['path']} is not the locked snapshot any more; it is not in DVC's cache")
        if "difficulty" in inputs:
            notes.append(_pass_rates(repo, root, inputs["difficulty"]))
        (root / REPLAY).mkdir(parents=True, exist_ok=True)  # DVC looks into it for a .gitignore
        repo.stage.add(
            name=STAGE,
            cmd=f"python -m rlexp replay {PINNED} --params {PARAMS} --dir {REPLAY}",
            deps=dependencies,
            params=[{PARAMS: []}],
            metrics=[SCORES],
            force=True,
        )
    return notes


def _pass_rates(repo: Any, root: Path, digest: dict[str, Any]) -> str:
    """Keeps the pass rates that a run filtered by in DVC's cache; no stage makes them, as another machine would sample
    others."""
    path = digest["path"]
    if folder_md5(root / path) != digest["md5"]:
        return f"{path} does not hold the locked pass rates any more; they are not in DVC's cache"
    store.keep(root, root / path)
    return _not_made(repo, root, path)


def lock_stages(lock: dict[str, Any], root: Path, held_out: dict[str, Any]) -> None:
    """Notes in dvc.lock what the stages of the pinned run have, so that the first ``dvc repro`` of a clone leaves it as
    it is. Nothing is run, and nothing that is left keeps DVC from running it.

    Args:
        held_out: the held-out numbers of the pinned run.

    Raises:
        RunError: DVC refused.
    """
    scores = root / SCORES
    scores.parent.mkdir(exist_ok=True)
    there = scores.read_bytes() if scores.is_file() else None
    write_scores(scores.parent, held_out)
    data = lock["inputs"]["data"]
    digests = (*data.get("source", {}).get("parts", {}).values(), data, lock["inputs"]["model"])
    paths = [digest["path"] for digest in digests if "path" in digest and (root / digest["path"]).exists()]
    with repository(root) as repo, repo.lock:
        for path in (*paths, SCORES):
            for stage in makers(repo, root, path):
                if stage.name in (STAGE, *(_name(group, path) for group in ("data", "model"))):
                    stage.save(run_cache=False)
                    if stage.name != STAGE:  # with its scores in the cache DVC would not run it
                        stage.commit()
                    stage.dump(update_pipeline=False)
    scores.unlink()
    if there is not None:
        scores.write_bytes(there)


def write_scores(run_dir: Path, held_out: dict[str, Any]) -> None:
    """Writes the held-out numbers beside a run, where DVC reads its metrics."""
    (run_dir / Path(SCORES).name).write_text(json.dumps(held_out, indent=1) + "\n")


def _name(group: str, path: str) -> str:
    return re.sub(r"[^\w-]+", "_", f"{group}_{Path(path).name}")  # DVC takes no + in the name of a stage


def _not_made(repo: Any, root: Path, path: str) -> str:
    """The note on an input that no stage makes: how a colleague can have it all the same."""
    place = Path(os.path.abspath(root / path))
    folder = "data" if (place / "snapshot.json").is_file() else "models"
    if not place.is_relative_to(root):
        return f"{path} lies outside of the project: copy it to {folder}/ and train that, for a colleague to have it"
    if repo.dvcignore.is_ignored_dir(str(place)) or repo.dvcignore.is_ignored(repo.fs, str(place)):
        return f"no stage makes {path}, where DVC sees nothing (.dvcignore): copy it to {folder}/ first, and train that"
    return f"no stage makes {path}: dvc add it, and dvc push, for a colleague to have it"


def _made_by_dvc(repo: Any, root: Path, group: str, lock: dict[str, Any]) -> bool:
    """Says whether a stage makes the folder; writes one where its script can, or for a mixture where its parts have
    one."""
    digest = lock["inputs"][group]
    if makers(repo, root, digest["path"]):
        return True
    owned = ("dataset", "method", "experiment") if group == "data" else ("model", "experiment")
    typed = [o for o in lock["overrides"] if _key(o).split(".")[0] in owned and _key(o) != "dataset.difficulty"]
    parts = digest.get("source", {}).get("parts", {})
    if parts and parts.keys() == lock["config"]["dataset"].get("parts", {}).keys():
        made = [_made_by_dvc(repo, root, group, of_part(lock, name)) for name in parts]
        made.append(_same_parts(root, lock, typed))
        deps = [part["path"] for part in parts.values()]
    else:
        made, script = [_command_makes(root, group, lock, typed)], digest.get("source", {}).get("script", "")
        deps = [script] if (root / script).is_file() else []
    if not all(made):
        return False
    repo.stage.add(
        name=_name(group, digest["path"]),
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


def _made_by_replay(source: dict[str, Any], sources: Path) -> bool:
    """Says whether a replay makes the folder anew: its script was kept with the run, and reads no file; so were those
    of every part of a mixture."""
    if "parts" in source:
        return all(_made_by_replay(part["source"], sources) for part in source["parts"].values())
    kept = sources / source["script"] if source.get("script") and not source.get("files") else None
    return bool(kept and kept.is_file() and file_md5(kept) == source["script_md5"])


def _is_shipped(root: Path, path: str) -> bool:
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
