"""``replay``: runs a lock again and says how far it agrees with the run that left it."""

from __future__ import annotations

import json
import os
import shutil
from argparse import Namespace
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlexp import project
from rlexp.command import Parser
from rlexp.compose.explain import explain
from rlexp.compose.points import points
from rlexp.compose.run import Run, resolve
from rlexp.errors import RunError
from rlexp.inputs import locked
from rlexp.inputs.digest import file_md5
from rlexp.inputs.prepare import prepare
from rlexp.record import agreement, locate
from rlexp.record.differences import ABSENT, differences, lines
from rlexp.record.lock import versions
from rlexp.record.record import LOCK, METRICS, SOURCES, read_manifest, update_manifest

MARK = ".replay"
"""Stands in a folder that --dir named: only such a folder is replaced by the next replay."""
NOT_REACHED = 3
"""Exit code of a replay that does not agree as far as was asked."""


def command(arguments: list[str], here: Path) -> int:
    """``replay RUN_OR_LOCK``: verifies every input, trains, compares.

    Returns:
        0 when the asked level is reached, 3 when not.

    Raises:
        RunError: there is no such run, its lock was changed, or an input is not the locked one and cannot be had.
    """
    options, root = _options(arguments), project.root()
    then = locate.find(options.run, here, root)
    if options.params:
        asked = run_of(OmegaConf.to_container(OmegaConf.load(root / options.params)), root, options.params)
        changed = lines(differences(run_of(then.lock["config"], root, LOCK).config(), asked.config()))
        if changed:
            print(f"{options.params} asks for another run than the lock: it is trained as a new one")
            for line in changed:
                print(f"  {line}")
            return _train_anew(asked, root, _run_folder(options, then, root), changed)
    return _replay(then, options, root)


def _options(arguments: list[str]) -> Namespace:
    parser = Parser("replay", "Runs a lock again and says how far it agrees with the run that left it.")
    parser.add_argument("run", help="a run folder, its run.lock.yaml, or pinned")
    parser.add_argument(
        "--level",
        choices=agreement.LEVELS,
        help="how far it must agree for exit code 0; default: trajectory on the same kind of machine with the same "
        "versions, else inputs",
    )
    parser.add_argument("--check", action="store_true", help="verify the inputs only; train nothing")
    parser.add_argument("--dir", help="the folder of the new run; an earlier replay in it is replaced")
    parser.add_argument("--params", help="a composed tree (DVC's params.yaml); where it differs, it is trained instead")
    return parser.parse_args(arguments)


def _replay(then: locate.Recorded, options: Namespace, root: Path) -> int:
    lock = then.lock
    if not options.check and options.level != "inputs" and not locate.metrics(then.folder):
        raise RunError(
            "there is no metrics.jsonl beside the lock, so only the inputs can be compared",
            where=str(then.folder),
            hint="type --level inputs, or name the run folder",
        )
    written = then.manifest.get("outputs", {}).get(METRICS)
    if written and written != file_md5(then.folder / METRICS):
        raise RunError(
            f"{METRICS} is not what the run left: there is nothing true to compare with",
            where=str(then.folder / METRICS),
            hint=f"git checkout -- {os.path.relpath(then.folder / METRICS, root)}, or type --level inputs --check",
        )
    as_locked = run_of(lock["config"], root, LOCK)
    run = on_this_machine(as_locked, root)
    if run is not as_locked:
        machine = run.hardware.name
        print(f"note: locked on {as_locked.hardware.name}, this machine has none: replayed on {machine}")
    read = differences(lock["config"], {**run.config(), **{k: lock["config"][k] for k in ("hardware", "rollout")}})
    if any(before != ABSENT for before, _ in read.values()):  # a key that is new since then has its default
        raise RunError(
            f"the lock's config is not read as it was written: {'; '.join(lines(read))}",
            where=str(then.folder / LOCK),
            hint=f"it was written by another version of rlexp: {lock['versions'].get('rlexp')}",
        )
    print(f"replay of {os.path.relpath(then.folder, root)}, run {lock['identity']}")
    inputs, notes = locked.find(lock, run, root, then.folder / SOURCES)
    for note in [*notes, *_drift(lock, root)]:
        print(f"note: {note}")
    names = ", ".join([lock["inputs"]["data"]["path"], *(s.file for s in inputs.rewards.values()), run.model.name])
    print(f"inputs identical: {names}", flush=True)
    if options.check:
        return 0
    folder = _run_folder(options, then, root)
    _same_threads(lock)
    seen: dict[str, Any] = {}

    def approve(now: dict[str, Any]) -> None:
        seen.update(now)
        _approve(lock, now)

    from rlexp.train.session import train

    train(run, root, folder, lock["overrides"], inputs, approve, smoked=True)
    now = read_manifest(folder) or {}
    found = agreement.compare(
        locate.metrics(then.folder),
        locate.metrics(folder),
        agreement.weights(then.manifest.get("outputs", {})),
        agreement.weights(now["outputs"]),
    )
    level, why = agreement.default_level(lock, seen)
    asked = options.level or level
    reached = found.reaches(asked)
    source = {"run": os.path.relpath(then.folder, root), "identity": lock["identity"], "checksum": lock["checksum"]}
    update_manifest(folder, replay_of=source, agreement={**found.plain(), "asked": asked, "reached": reached})
    (folder / "scores.json").write_text(json.dumps(now.get("held_out", {}), indent=1) + "\n")
    print(_sentence(found))
    if lock["fresh_adapter_sha256"] != seen["fresh_adapter_sha256"]:
        print("note: the fresh adapter is not the lock's: its seed is drawn otherwise by this software or machine")
    because = "asked for" if options.level else why
    print(f"level asked: {asked} ({because}): {'reached' if reached else 'not reached'}")
    return 0 if reached else NOT_REACHED


def _sentence(found: agreement.Agreement) -> str:
    if found.level == "trajectory":
        return f"trajectory identical: every value of {found.steps} logged steps, and the trained weights"
    said = "inputs identical" + (", first step identical" if found.level == "step" else "")
    return f"{said}; the first difference is at {found.difference}" if found.difference else said


def run_of(config: Any, root: Path, name: str) -> Run:
    """The run of a config; what is newer than the config (a group, or a key of one) has its default.

    Args:
        name: the file that holds the config, for messages.

    Raises:
        RunError: it is no run of this version.
    """
    try:
        plain = points(root / "conf", [], multirun=False)[0].run.config()
        return resolve(OmegaConf.create({**{n: plain[n] for n in plain.keys() - config.keys()}, **config}))
    except (HydraException, OmegaConfBaseException) as error:
        said = explain(error, root / "conf")
        raise RunError(said.what, where=f"{name}: {said.where}", hint=said.hint) from error


def on_this_machine(run: Run, root: Path) -> Run:
    """The run as locked, or, where its GPU is not there, on what is: the same optimisation problem."""
    if run.hardware.device.name == "cpu":
        return run
    machine = points(root / "conf", ["hardware=auto", "rollout=generate"], multirun=False)[0].run
    if machine.hardware.device is run.hardware.device:
        return run
    config = {**run.config(), **{name: machine.config()[name] for name in ("hardware", "rollout")}}
    return resolve(OmegaConf.create(config))


def _drift(lock: dict[str, Any], root: Path) -> list[str]:
    """What composes or is installed otherwise now; the replay keeps to the lock's config."""
    notes = []
    try:
        now = points(root / "conf", lock["overrides"], multirun=False)[0].run.config()
        then = run_of(lock["config"], root, LOCK).config()
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


def _same_threads(lock: dict[str, Any]) -> None:
    """Sums in as many parts as the locked run did; torch and MKL read these when they are imported."""
    threads = lock["machine"].get("threads")
    if threads and lock["config"]["hardware"]["device"] == "cpu":
        os.environ |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def _approve(lock: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuses what only a loaded model shows to be another than the locked one."""
    same_template = lock["chat_template_sha256"] == now["chat_template_sha256"]
    then, files = lock["inputs"]["model"]["files"], now["inputs"]["model"]["files"]
    other = sorted(name for name in {*then, *files} if then.get(name) != files.get(name))
    if not same_template or other:
        named = ", ".join((["the chat template"] if not same_template else []) + other)
        raise RunError(
            f"the loaded model is not the locked one: {named}; nothing was trained",
            where=f"expected {lock['inputs']['model']['md5']}, actual {now['inputs']['model']['md5']}",
        )


def _run_folder(options: Namespace, then: locate.Recorded, root: Path) -> Path:
    config = then.lock["config"]
    if not options.dir:
        now = datetime.now()
        name = "_".join((now.strftime("%H-%M-%S.%f"), "replay", config["method"]["name"], config["model"]["name"]))
        return root / "outputs" / now.strftime("%Y-%m-%d") / name
    folder = root / options.dir
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise RunError(
                f"{options.dir} is not empty, and no replay made it", where="--dir", hint="name a new folder"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    return folder


def _train_anew(run: Run, root: Path, folder: Path, changed: list[str]) -> int:
    from rlexp.train.session import train

    inputs = prepare(run, root)
    train(run, root, folder, changed, inputs)
    (folder / "scores.json").write_text(json.dumps((read_manifest(folder) or {}).get("held_out", {}), indent=1) + "\n")
    return 0
