"""``pin``: makes a finished run the project's locked run, which ``dvc repro`` replays.

``pinned/`` holds what a colleague needs, small enough to be committed: the lock, the metrics to compare with, the
reward sources and the facts of the manifest. DVC's stage ``run`` replays it; the snapshot goes into DVC's cache.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from rlexp.compose.places import Places
from rlexp.errors import RunError
from rlexp.files import lies_inside, whole_folder
from rlexp.inputs import reward_source, reward_versions, store, trust
from rlexp.inputs.digest import file_md5
from rlexp.inputs.locked_start import REPLAYED
from rlexp.inputs.start import KEPT
from rlexp.inputs.trust import Code
from rlexp.record import chain, status
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import LOCK, MANIFEST, METRICS, PATCH, SOURCES
from rlexp.record.ship_stage import Shipping
from rlexp.record.stages import PARAMS, PINNED, lock_stages, write_stages

KEPT_FILES = (LOCK, METRICS, PATCH)
"""Files of a run folder that are kept as they are, beside the reward sources."""
PARAMS_HEAD = "# The pinned run, composed; dvc exp run changes values here, and the stage run trains what it finds.\n"
FACTS = (
    *("status", "identity", "started", "ended", "overrides", "git", "timings_s", "held_out", "outputs", "machine"),
    "start",
)
"""Keys of the manifest that are kept: nothing that names this machine's folders or processes."""
HELD = ("adapter/", "model/")
"""Outputs that are not kept, and whose hashes are."""


def pin(run: FinishedRun, shipping: Shipping | None = None) -> list[str]:
    """Checks a run, copies its record to ``pinned/``, and writes DVC's stages and ``params.yaml``.

    Args:
        shipping: what the stage that ships it does; None for no such stage.

    Returns:
        What a colleague would lack: the inputs that DVC cannot make or restore.

    Raises:
        RunError: the run cannot stand for the project (``check``), or DVC refused a stage.
    """
    root = run.root
    rewards = check(run)
    stages = chain.stages(run)
    for before in stages[1:]:
        rewards += check(before)
    for stage in stages[:-1]:
        keep_start(stage)
    notes = write_stages([(stage.lock, stage.run_dir / SOURCES) for stage in stages], root, shipping)
    reward_versions.record(root, rewards)
    copy(stages, root / PINNED)
    (root / PARAMS).write_text(PARAMS_HEAD + OmegaConf.to_yaml(OmegaConf.create(run.lock["config"])))
    lock_stages([(stage.lock, stage.manifest.get("held_out", {})) for stage in stages], root, shipping)
    return notes


def keep_start(run: FinishedRun) -> None:
    """Puts the weights that a run began with into DVC's cache, for a machine that trains other ones."""
    kept = run.run_dir / KEPT
    store.keep(run.root, kept if kept.is_dir() else run.root / run.lock["inputs"]["model"]["path"])


def check(run: FinishedRun) -> list[reward_source.RewardSource]:
    """Checks whether a run can stand for the project: finished, its inputs unchanged, its record whole.

    Returns:
        Its reward sources, from the run folder.

    Raises:
        RunError: the first thing that speaks against it, or its code is not trusted.
    """
    where, manifest, root = str(run.run_dir), run.manifest, run.root
    if run.run_dir.resolve() == (root / PINNED).resolve():
        raise RunError("this run is the pinned one already", where=where, hint="dvc repro replays it")
    if manifest.get("status") != "finished":
        message = f"its status is {status.sentence(manifest)}" if manifest else f"it has no {MANIFEST}"
        raise RunError(
            f"only a finished run can be pinned; {message}", where=where, hint="python -m rlexp runs lists them"
        )
    if manifest.get("inputs_changed"):
        changed = ", ".join(manifest["inputs_changed"])
        raise RunError(f"{changed} changed while the run went on", where=where, hint="train it again, then pin that")
    for name in KEPT_FILES:
        reward_source.require_inside(run.run_dir / name, run.run_dir)
    for name, md5 in manifest["outputs"].items():
        if not (run.run_dir / name).is_file() or file_md5(run.run_dir / name) != md5:
            raise RunError(f"{name} is not what the run left", where=where, hint="pin a run whose folder is whole")
    for term in run.lock["inputs"]["rewards"].values():
        copied = run.run_dir / SOURCES / term["file"]
        reward_source.require_inside(copied, run.run_dir)
        if not copied.is_file() or file_md5(copied) != term["md5"]:
            raise RunError(
                f"{copied.name} is not the copy the run made of its reward",
                where=str(copied),
                hint="pin a run whose folder is whole",
            )
    files = [term["file"] for term in run.lock["inputs"]["rewards"].values()]
    scripts = [Code(path) for path in kept_scripts(run).values()]
    rewards = [reward_source.read(run.run_dir / SOURCES, file) for file in files]
    # Committed, they count as the project's own from then on: the yes is asked for before.
    trust.require([*run.lock_code(), *scripts, *(Code(source.path) for source in rewards)], Places.of(root))
    for fault in reward_versions.faults(root, rewards):
        raise RunError(
            f"the run's reward bears a version that was other code: {fault}",
            where=where,
            hint="raise its version, train again, and pin that",
        )
    return rewards


def kept_scripts(run: FinishedRun) -> dict[str, Path]:
    """Name -> copy, of the scripts of data_prep/ that made the run's inputs and that it kept as they were."""
    found = {}
    for digest in (run.lock["inputs"]["data"], run.lock["inputs"]["model"]):
        source = digest.get("source", {})
        path = run.run_dir / SOURCES / source.get("script", "")
        if path.is_file() and lies_inside(path, run.run_dir) and file_md5(path) == source.get("script_md5"):
            found[source["script"]] = path
    return found


def copy(stages: Sequence[FinishedRun], pinned: Path) -> None:
    """Copies the record of a run, and of those before it, to ``pinned``; the old one stands until the new one is whole.

    Args:
        stages: the last one first (``chain.stages``).
    """
    with whole_folder(pinned, replace=True) as partial:
        for depth, run in enumerate(stages):
            _copy(run, chain.place(partial, depth))
        if len(stages) > 1:
            (partial / ".gitignore").write_text(f"{REPLAYED}/\n")


def _copy(run: FinishedRun, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in KEPT_FILES:
        if (run.run_dir / name).is_file():
            shutil.copyfile(run.run_dir / name, folder / name)
    for file in sorted({term["file"] for term in run.lock["inputs"]["rewards"].values()} | set(kept_scripts(run))):
        (folder / SOURCES / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.run_dir / SOURCES / file, folder / SOURCES / file)
    facts = {name: run.manifest[name] for name in FACTS if name in run.manifest}
    if "outputs" in facts:  # of what is not kept here nothing is to be held against: a replay holds the weights
        facts["outputs"] = {k: v for k, v in facts["outputs"].items() if k in KEPT_FILES or k.startswith(HELD)}
    (folder / MANIFEST).write_text(json.dumps(facts, indent=2) + "\n")
