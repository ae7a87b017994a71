"""``replay``: runs a lock again and says how far it agrees with the run that left it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rlexp.compare import agreement
from rlexp.compare.differences import ABSENT, differences, lines
from rlexp.compose.points import points
from rlexp.errors import RunError, printable
from rlexp.inputs.digest import file_md5
from rlexp.project import CONF
from rlexp.record import locked_config, metrics
from rlexp.record.finished import FinishedRun
from rlexp.record.lock import TASK, template_time, versions
from rlexp.record.run_folder import LOCK, METRICS, read_manifest, update_manifest
from rlexp.record.stages import write_scores
from rlexp.train import forked, selecting, session
from rlexp.train.job import Job

MARK = ".replay"
"""Stands in a folder that --dir named: only such a folder is replaced by the next replay."""


@dataclass(frozen=True)
class Replayed:
    """How a replay ended."""

    reached: bool
    """The level that was asked for is reached; of a check, that the inputs are the locked ones."""
    notes: list[str]
    """What a person should read: what composes, is installed or was found otherwise now."""
    run_dir: Path | None
    """The folder of the new run, whose manifest says how far it agrees; None where the inputs were checked only."""


def replay(original: FinishedRun, level: str | None, check: bool, directory: str | None) -> Replayed:
    """Verifies every input of a run, trains it again, and compares.

    Args:
        level: of ``agreement.LEVELS``, how far it must agree; None for as far as can be expected on this machine.
        check: verify the inputs only.
        directory: the folder of the new run, from the project folder; None for a new one below outputs/.

    Raises:
        RunError: there is nothing to compare with, or an input is not the locked one and cannot be had.
    """
    lock, root, where = original.lock, original.root, original.run_dir
    compared = not check and level != "inputs"
    if compared and not metrics.lines(where):
        raise RunError(
            "there is no metrics.jsonl beside the lock, so only the inputs can be compared",
            where=str(where),
            hint="type --level inputs, or name the run folder",
        )
    written = original.manifest.get("outputs", {}).get(METRICS)
    kept = where / METRICS
    if level != "inputs" and written and not (kept.is_file() and file_md5(kept) == written):
        raise RunError(
            f"{METRICS} is not what the run left: there is nothing true to compare with",
            where=str(where / METRICS),
            hint=f"git checkout -- {os.path.relpath(where / METRICS, root)}, or type --level inputs --check",
        )
    run, notes = locked_config.on_this_machine(original.run, root), []
    if run is not original.run:
        machine = run.hardware.name
        notes.append(f"locked on {original.run.hardware.name}, this machine has none: replayed on {machine}")
        print(f"note: {notes[0]}")
    read = differences(lock["config"], {**run.config(), **{k: lock["config"][k] for k in ("hardware", "rollout")}})
    if any(before != ABSENT for before, _ in read.values()):  # a key that is new since then has its default
        raise RunError(
            f"the lock's config is not read as it was written: {'; '.join(lines(read))}",
            where=str(where / LOCK),
            hint=f"it was written by another version of rlexp: {lock['versions'].get('rlexp')}",
        )
    print(f"replay of {os.path.relpath(where, root)}, run {lock['identity']}")
    inputs, found_otherwise = original.inputs(run, make=not check)
    for note in [*found_otherwise, *_drift(original)]:
        notes.append(printable(note))
        print(f"note: {notes[-1]}")
    folders = [lock["inputs"][name]["path"] for name in ("data", *(["difficulty"] if inputs.filtered else []))]
    names = ", ".join([*folders, *(s.file for s in inputs.rewards.values()), run.model.name])
    fork = forked.checkpoint_of(run, root)
    print(f"inputs identical: {', '.join([names, *([str(run.fork)] if fork else [])])}", flush=True)
    if check:
        return Replayed(True, notes, None)
    if (task := selecting.task_of(run, root)) and task.digest() != lock.get(TASK):
        notes.append(f"the eval task {task.name} is another now: what it measured, and the choice by it, may differ")
        print(f"note: {notes[-1]}", flush=True)
    run_dir = run_dir_of(original, directory)
    same_threads(lock)
    lock_now: dict[str, Any] = {}

    def approve(now: dict[str, Any]) -> None:
        lock_now.update(now)
        require_same_model(lock, now)

    if moment := template_time(lock):
        notes.append(f"the chat template writes the time: it is given that of the lock, {moment}")
        print(f"note: {notes[-1]}", flush=True)
    session.train(Job(run, root, run_dir, lock["overrides"], moment, fork=fork), inputs, approve, smoked=True)
    manifest = read_manifest(run_dir) or {}
    found = agreement.compare(
        metrics.lines(where),
        metrics.lines(run_dir),
        agreement.weights(original.manifest.get("outputs", {})),
        agreement.weights(manifest["outputs"]),
    )
    default, why = agreement.default_level(lock, lock_now, original.manifest.get("attempts", []))
    wanted = level or default
    reached = found.reaches(wanted)
    source = {"run": os.path.relpath(where, root), "identity": lock["identity"], "checksum": lock["checksum"]}
    update_manifest(run_dir, replay_of=source, agreement={**found.to_json(), "asked": wanted, "reached": reached})
    write_scores(run_dir, original.manifest.get("held_out", {}), lock["identity"])
    print(printable(_sentence(found)))
    if lock["fresh_adapter_sha256"] != lock_now["fresh_adapter_sha256"]:
        notes.append("the fresh adapter is not the lock's: its seed is drawn otherwise by this software or machine")
        print(f"note: {notes[-1]}")
    because = "asked for" if level else why
    print(f"level asked: {wanted} ({because}): {'reached' if reached else 'not reached'}")
    return Replayed(reached, notes, run_dir)


def _sentence(found: agreement.Agreement) -> str:
    if found.level == "trajectory":
        return f"trajectory identical: every value of {found.steps} logged steps, and the trained weights"
    message = "inputs identical" + (", first step identical" if found.level == "step" else "")
    return f"{message}; the first difference is at {found.difference}" if found.difference else message


def _drift(original: FinishedRun) -> list[str]:
    """Notes on what composes or is installed otherwise now; the replay keeps to the lock's config."""
    lock, root, notes = original.lock, original.root, []
    try:
        now = points(root / CONF, [*lock["overrides"], *_begun_with(lock)], multirun=False)[0].run.config()
        then = original.run.config()
        now["hardware"] = then["hardware"]
        if then["rollout"]["why"]:  # auto's choice, which follows the hardware
            now["rollout"] = then["rollout"]
        # What follows it, only says why, or is only estimated from.
        for group, key in (("rollout", "gpu_memory_utilization"), ("rollout", "why"), ("model", "size")):
            now[group][key] = then[group][key]
        changed = lines(differences(then, now))
        if changed:
            notes.append(f"conf/ composes otherwise now, the lock's config is replayed ({'; '.join(changed)})")
    except RunError as error:
        notes.append(f"conf/ no longer composes the lock's overrides ({error.what}), the lock's config is replayed")
    other = [f"{k} {lock['versions'].get(k)} -> {v}" for k, v in versions().items() if lock["versions"].get(k) != v]
    if other:
        notes.append(f"other versions than the lock's: {', '.join(other)}")
    return notes


def _begun_with(lock: dict[str, Any]) -> list[str]:
    """The overrides that stand for the start of a lock, which may not be where it was any more."""
    model = lock["config"]["model"]
    if not model.get("start"):
        return []
    lora = [f"model.lora.{key}={value}" for key, value in model["lora"].items() if key != "target_modules"]
    layers = model["lora"]["target_modules"]
    lora.append(f"model.lora.target_modules={layers if isinstance(layers, str) else '[' + ','.join(layers) + ']'}")
    return [f"model.start_sha256={model['start_sha256']}", *lora]


def same_threads(lock: dict[str, Any]) -> None:
    """Sums in as many parts as the locked run did; torch and MKL read these when they are imported."""
    threads = lock["machine"].get("threads")
    if threads and lock["config"]["hardware"]["device"] == "cpu":
        os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def require_same_model(lock: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuses what only a loaded model shows to be another than the locked one."""
    same_template = lock["chat_template_sha256"] == now["chat_template_sha256"]
    then, files = lock["inputs"]["model"]["files"], now["inputs"]["model"]["files"]
    other = sorted(name for name in {*then, *files} if then.get(name) != files.get(name))
    if not same_template or other:
        named = ", ".join((["the chat template"] if not same_template else []) + other)
        raise RunError(
            f"the loaded model is not the locked one: {named}; nothing was trained",
            where=f"expected {lock['inputs']['model']['md5']}, actual {now['inputs']['model']['md5']}",
            hint="put the locked model back: git checkout, or dvc checkout; replay RUN --check names it",
        )


def require_replaceable(root: Path, directory: str) -> None:
    """Checks whether the new run may go to a folder, before anything else is done.

    Raises:
        RunError: something else lies there.
    """
    folder = root / directory
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file()):
        raise RunError(
            f"{directory} is not empty, and no replay made it",
            where=f"--dir {directory}",
            hint=f"name a new folder: type --dir {directory.rstrip('/')}_replay",
        )


def run_dir_of(original: FinishedRun, directory: str | None) -> Path:
    """The folder of the new run: a new one below outputs/, or the one that is named, whose earlier replay goes.

    Raises:
        RunError: something else lies there.
    """
    config, root = original.lock["config"], original.root
    if not directory:
        now = datetime.now()
        name = "_".join((now.strftime("%H-%M-%S.%f"), "replay", config["method"]["name"], config["model"]["name"]))
        return root / "outputs" / now.strftime("%Y-%m-%d") / name
    run_dir = root / directory
    if run_dir.is_dir() and any(run_dir.iterdir()):
        require_replaceable(root, directory)
        shutil.rmtree(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / MARK).touch()
    return run_dir
