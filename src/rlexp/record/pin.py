"""``pin``: makes a finished run the project's locked run, which ``dvc repro`` replays.

``pinned/`` holds what a colleague needs, small enough to be committed: the lock, the metrics to compare with, the
reward sources and the facts of the manifest. DVC's stage ``run`` replays it; the snapshot goes into DVC's cache.
"""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rlexp import project
from rlexp.command import Parser
from rlexp.errors import RunError
from rlexp.inputs import reward_source, store, versions
from rlexp.inputs.digest import file_md5, folder_md5
from rlexp.record import locate
from rlexp.record.record import LOCK, MANIFEST, METRICS, PATCH, SOURCES

PINNED, PARAMS, STAGE = "pinned", "params.yaml", "run"
REPLAY = f"{PINNED}/replay"
PARAMS_HEAD = "# The pinned run, composed; dvc exp run writes another tree here, and the stage run trains it.\n"
FACTS = ("status", "identity", "started", "ended", "overrides", "git", "timings_s", "held_out", "outputs", "machine")
"""What of the manifest is kept: nothing that names this machine's folders or processes."""


def command(arguments: list[str], here: Path) -> int:
    """``pin RUN``: checks the run, copies its record to pinned/, and writes DVC's stage and params.yaml.

    Raises:
        RunError: there is no such run, it did not finish, or its record is not whole.
    """
    parser = Parser("pin", "Makes a finished run (also a point of a sweep) the one that dvc repro replays.")
    parser.add_argument("run", help="a run folder")
    options, root = parser.parse_args(arguments), project.root()
    run = locate.find(options.run, here, root)
    rewards = check(run, root)
    notes = _stages(run.lock, root)
    versions.record(root, rewards)
    copy(run, root / PINNED)
    (root / PARAMS).write_text(PARAMS_HEAD + OmegaConf.to_yaml(OmegaConf.create(run.lock["config"])))
    print(f"pinned: run {run.lock['identity']}, {PINNED}/{LOCK}")
    for note in notes:
        print(f"note: {note}")
    print(f"next: dvc repro, then git add {PINNED} {PARAMS} dvc.yaml dvc.lock {versions.FILE}")
    return 0


def check(run: locate.Recorded, root: Path) -> list[reward_source.RewardSource]:
    """Whether a run can stand for the project: finished, its inputs unchanged, its record whole.

    Returns:
        Its reward sources, from the run folder.

    Raises:
        RunError: the first thing that speaks against it.
    """
    where, manifest = str(run.folder), run.manifest
    if run.folder.resolve() == (root / PINNED).resolve():
        raise RunError("this run is the pinned one already", where=where)
    if manifest.get("status") != "finished":
        said = f"its status is {manifest['status']}" if manifest else f"it has no {MANIFEST}"
        raise RunError(
            f"only a finished run can be pinned; {said}", where=where, hint="python -m rlexp runs lists them"
        )
    if manifest.get("inputs_changed"):
        changed = ", ".join(manifest["inputs_changed"])
        raise RunError(f"{changed} changed while the run went on", where=where, hint="train it again, then pin that")
    for name, md5 in manifest["outputs"].items():
        if not (run.folder / name).is_file() or file_md5(run.folder / name) != md5:
            raise RunError(f"{name} is not what the run left", where=where, hint="pin a run whose folder is whole")
    for term in run.lock["inputs"]["rewards"].values():
        copied = run.folder / SOURCES / term["file"]
        if not copied.is_file() or file_md5(copied) != term["md5"]:
            raise RunError(f"{copied.name} is not the copy the run made of its reward", where=str(copied))
    files = [term["file"] for term in run.lock["inputs"]["rewards"].values()]
    rewards = [reward_source.read(run.folder / SOURCES, file) for file in files]
    for fault in versions.faults(root, rewards):
        raise RunError(f"the run's reward bears a version that was other code: {fault}", where=where)
    return rewards


def copy(run: locate.Recorded, pinned: Path) -> None:
    """Copies the record of a run to ``pinned``; the old one stands until the new one is whole."""
    partial = pinned.with_name(f".{pinned.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name in (LOCK, METRICS, PATCH):
        if (run.folder / name).is_file():
            shutil.copyfile(run.folder / name, partial / name)
    shutil.copytree(run.folder / SOURCES, partial / SOURCES, ignore=shutil.ignore_patterns("__pycache__"))
    facts = {name: run.manifest[name] for name in FACTS if name in run.manifest}
    (partial / MANIFEST).write_text(json.dumps(facts, indent=2) + "\n")
    shutil.rmtree(pinned, ignore_errors=True)
    partial.rename(pinned)


def _stages(lock: dict[str, Any], root: Path) -> list[str]:
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
    """Whether a stage makes the folder; writes one where its script can."""
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
