"""DVC's stages of this project: the one that replays the pinned run, and one for each input that none makes yet."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from rlexp.errors import RunError
from rlexp.inputs import store
from rlexp.inputs.digest import folder_md5
from rlexp.record.run_folder import LOCK, METRICS, SOURCES

PINNED, PARAMS, STAGE = "pinned", "params.yaml", "run"
REPLAY = f"{PINNED}/replay"


def write_stages(lock: dict[str, Any], root: Path) -> list[str]:
    """Writes the stage that replays the pinned run, and one for each input that no stage makes yet.

    Returns:
        What DVC cannot make or restore.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    inputs, notes, dependencies = lock["inputs"], [], [f"{PINNED}/{name}" for name in (LOCK, METRICS, SOURCES)]
    try:
        with Repo(str(root)) as repo:
            for group in ("data", "model"):
                digest = inputs[group]
                if "path" not in digest:
                    continue
                if _made_by_dvc(repo, root, group, digest, lock["overrides"]):
                    dependencies.append(digest["path"])
                else:
                    notes.append(
                        f"no stage makes {digest['path']}: dvc add it, and dvc push, for a colleague to have it"
                    )
            if folder_md5(root / inputs["data"]["path"]) == inputs["data"]["md5"]:
                store.keep(root, root / inputs["data"]["path"])
            else:
                notes.append(f"{inputs['data']['path']} is not the locked snapshot any more; it is not in DVC's cache")
            (root / REPLAY).mkdir(parents=True, exist_ok=True)  # DVC looks into it for a .gitignore
            repo.stage.add(
                name=STAGE,
                cmd=f"python -m rlexp replay {PINNED} --params {PARAMS} --dir {REPLAY}",
                deps=[*dependencies, *(term["file"] for term in inputs["rewards"].values())],
                params=[{PARAMS: []}],
                outs=[f"{REPLAY}/{'model' if lock['config']['model']['full_finetuning'] else 'adapter'}"],
                metrics=[f"{REPLAY}/scores.json"],
                force=True,
            )
    except DvcException as error:
        raise RunError(
            f"DVC refused the stage {STAGE}: {error}", where="dvc.yaml", hint="dvc init, if this project has no .dvc/"
        ) from error
    return notes


def _made_by_dvc(repo: Any, root: Path, group: str, digest: dict[str, Any], overrides: list[str]) -> bool:
    """Says whether a stage makes the folder; writes one where its script can."""
    from dvc.exceptions import OutputNotFoundError

    try:
        repo.find_outs_by_path(str(root / digest["path"]))
        return True
    except OutputNotFoundError:
        source = digest.get("source", {})
    if source.get("files") or not source.get("script"):
        return False
    owned = ("dataset", "method", "experiment") if group == "data" else ("model", "experiment")
    typed = [o for o in overrides if o.lstrip("+~").split("=")[0].split(".")[0] in owned]
    repo.stage.add(
        name=f"{group}_{Path(digest['path']).name}",
        cmd=" ".join(["python -m rlexp prepare", *map(shlex.quote, typed)]),
        deps=[source["script"]],
        outs=[digest["path"]],
        force=True,
    )
    return True
