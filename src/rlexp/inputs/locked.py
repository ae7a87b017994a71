"""The inputs of a lock, found again on this machine: each is the locked one by hash, or the run does not start.

In this order: where the lock says; in DVC's cache or remote, by hash; made anew by the script the lock names. What
lies in the working copy is never touched: a restored folder goes beside it, into ``.locked/``.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlexp.compose import hub
from rlexp.compose.places import Places
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.files import lies_inside
from rlexp.inputs import difficulty, locked_code, locked_start, mixture, prepare, snapshot, store, trust
from rlexp.inputs.digest import combined_md5, folder_md5, folder_md5s, other_file
from rlexp.inputs.find import Inputs
from rlexp.inputs.locked_code import MISSING, Search, short
from rlexp.inputs.reward_rows import met_snapshot
from rlexp.inputs.script import run_script
from rlexp.inputs.start import Begun
from rlexp.inputs.trust import Code

BESIDE = ".locked"
NO_SNAPSHOT, OTHER_FILES = "no snapshot", "other files"
SHOWN = 10
"""Inputs that are not the locked ones, in a message."""


def find(lock: dict[str, Any], run: Run, root: Path, sources: Path, make: bool = True) -> tuple[Inputs, list[str]]:
    """The inputs that a lock names, with the notes a person should read.

    What is written or deleted lies inside of the project, whatever the lock says; an input outside of it is only read.

    Args:
        lock: the content of ``run.lock.yaml``, whose shape was verified (``lock.read_lock``).
        run: the run of its config.
        root: the project folder.
        sources: the folder of files that was kept beside the lock.
        make: restore what is missing, or make it with its script; False runs nothing and writes nothing.

    Raises:
        RunError: inputs are not the locked ones and cannot be had; the message names every one, expected and actual.
            Or code among them is not trusted.
    """
    search, digest = Search(Places.of(root), sources, make), lock["inputs"]
    rewards = {name: locked_code.reward(search, term) for name, term in digest["rewards"].items()}
    if make:
        trust.require([Code(source.path) for source in rewards.values() if source], search.places)
        hub.require(run)
    data = _data(search, digest["data"])
    begun = locked_start.find(search, digest["start"]) if "start" in digest else None
    model = _model(search, digest["model"], run, begun) if "path" in digest["model"] else None
    rates = _rates(search, digest, run)
    if search.faults:
        shown, more = search.faults[:SHOWN], len(search.faults) - SHOWN
        width = max(len(name) for name, _, _ in shown)
        table = "\n".join(f"  {name:<{width}}  expected {want:<12}  actual {got}" for name, want, got in shown)
        table += f"\n  and {more} more" if more > 0 else ""
        raise RunError(
            f"{len(search.faults)} of the lock's inputs are not what they were; nothing was started\n{table}",
            where="the working copy, DVC's cache and remote, the lock's own copies, the scripts of data_prep/",
            hint="put them back (git checkout, dvc pull, or remove the edited folder so that its script makes it "
            "again), or train a new run of what is there now"
            if make
            else "put them back (git checkout, dvc pull), or leave out --check, which runs nothing: a replay "
            "restores or makes what can be had",
        )
    described = snapshot.describe(data)
    kept = {name: met_snapshot(source, described) for name, source in rewards.items() if source}
    filtered = difficulty.find(run, rates, data, described, kept) if rates else None
    if begun:
        path = digest["model"].get("path")
        begun = dataclasses.replace(begun, model=path if path != run.model.path else None)
    return Inputs(data, described, None, model, None, kept, filtered, start=begun), search.notes


def _rates(search: Search, digest: dict[str, Any], run: Run) -> Path | None:
    """The folder of the pass rates that the run filtered by: no script makes it again. None where it did not filter."""
    if run.dataset.difficulty is None:
        return None
    if "difficulty" not in digest:
        search.faults.append((difficulty.path(run), "one in the lock", MISSING))
        return None
    return _folder(search, digest["difficulty"], lambda place: False)


def _data(search: Search, digest: dict[str, Any]) -> Path:
    """The place of the locked snapshot; a mixture can be made anew of its parts, which are found in the same way."""
    parts = digest.get("source", {}).get("parts")
    if parts is None:
        return _snapshot(search, digest)
    return _folder(search, digest, lambda place: _mix(search, parts, place), "of its parts")


def _snapshot(search: Search, digest: dict[str, Any]) -> Path:
    return _folder(search, digest, lambda place: _write_snapshot(search, digest.get("source", {}), place))


def _mix(search: Search, parts: dict[str, Any], place: Path) -> bool:
    before = len(search.faults)
    found = {name: (_snapshot(search, digest), digest) for name, digest in sorted(parts.items())}
    if len(search.faults) > before:
        return False
    try:
        mixture.write(found, place)
    except RunError:
        return False
    return True


def _folder(
    search: Search,
    digest: dict[str, Any],
    make: Callable[[Path], bool],
    how: str = "by its script",
    others: Sequence[Path] = (),
) -> Path:
    """The place of the folder of this hash, after it was restored or made if need be; its named path after a fault.

    Args:
        make: makes it in a place, where it can.
        how: as which it makes it, for the note.
        others: where it may lie as well.
    """
    root, wanted = search.places.root, digest["md5"]
    named = search.places.path(digest["path"])
    actual = _md5(named, digest)
    for other in others if actual != wanted else ():
        if _md5(other, digest) == wanted:
            return other
    if actual == wanted:
        if not any(lies_inside(named, place) for place in search.places.folders):
            search.notes.append(f"{digest['path']} lies outside of the project: it is read there")
        return named
    named = root / digest["path"]
    beside = named.parent / BESIDE / wanted.removesuffix(".dir")
    place = beside if named.exists() else named
    shown = os.path.relpath(place, root)
    state = f"{digest['path']} is not the locked one (expected {short(wanted)}, actual {short(actual)})"
    if _md5(place, digest) == wanted:
        search.notes.append(f"{state}: the locked one lies in {shown}")
        return place
    if not search.make or not lies_inside(place, root):
        search.faults.append((digest["path"], short(wanted), short(actual)))
        return named
    shutil.rmtree(place, ignore_errors=True)  # a copy beside that is not whole
    place.parent.mkdir(parents=True, exist_ok=True)
    if store.restore(root, wanted, place):
        search.notes.append(f"{state}: restored from DVC's cache to {shown}")
    elif make(place) and folder_md5(place) == wanted:
        search.notes.append(f"{state}: made again {how} in {shown}")
    else:
        shutil.rmtree(place, ignore_errors=True)
        search.faults.append((digest["path"], short(wanted), short(actual)))
    return place


def _model(search: Search, digest: dict[str, Any], run: Run, begun: Begun | None = None) -> Path:
    known, before = search.places.root / digest["path"], len(search.faults)
    others = [begun.weights] if begun and begun.digest["full"] else []

    def make(place: Path) -> bool:
        if begun and begun.digest["merged"]:
            base = _model(search, begun.digest["base"], run) if "path" in begun.digest["base"] else hub.cached(run)
            return base is not None and len(search.faults) == before and locked_start.merge_into(base, begun, place)
        return not known.exists() and _build_model(search, digest.get("source", {}), run, place)

    folder = _folder(search, digest, make, "of its start" if begun else "by its script", others)
    if len(search.faults) > before and known.is_dir():
        search.faults.pop()
        actual, path = folder_md5s(known, digest["files"]), digest["path"]
        for name, want in sorted(digest["files"].items()):
            if want != (got := actual.get(name, MISSING)):
                search.faults.append((f"{path}/{name}", short(want), short(got)))
        if other := other_file(known, digest["files"]):
            search.faults.append((f"{path}/{other}", "absent", "there"))
    return folder.resolve()


def _md5(folder: Path, digest: dict[str, Any]) -> str:
    """The hash of a folder, MISSING where there is none. Of a stranger's lock that names any folder of this machine
    nothing is read but the files it says, or a snapshot."""
    if not folder.is_dir():
        return MISSING
    names = digest.get("files")
    if names is None:
        return folder_md5(folder) if (folder / snapshot.DESCRIPTION).is_file() else NO_SNAPSHOT
    return OTHER_FILES if other_file(folder, names) else combined_md5(folder_md5s(folder, names))


def _write_snapshot(search: Search, source: dict[str, Any], place: Path) -> bool:
    script = locked_code.script(search, source)
    if script is None:
        return False
    try:
        run_script(script, source["script"], prepare.write_snapshot, place, source.get("params", {}))
    except RunError:
        return False
    return True


def _build_model(search: Search, source: dict[str, Any], run: Run, place: Path) -> bool:
    script = locked_code.script(search, source)
    if script is None:
        return False
    print(f"making {run.model.path} with {source['script']}", flush=True)
    params = run.config()["model"]["params"]
    run_script(script, source["script"], prepare.build_model, place, params)
    return True
