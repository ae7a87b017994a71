"""``resume=auto``: the run that the rest of the line has begun already, so that a scheduler can have one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp.compose.points import CommandLine
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.inputs.find import find_inputs
from rlexp.inputs.hashes import inputs_digest
from rlexp.record import finished, go_on, listed, lock
from rlexp.record.lock import read_lock
from rlexp.record.run_folder import LOCK


def find(line: CommandLine) -> Path | None:
    """The folder of the newest unfinished run with the identity, inputs and versions of what a line composes; says
    which it is, or why there is none.

    Args:
        line: without ``resume=``.

    Raises:
        RunError: it cannot be composed, or is a sweep.
    """
    if line.sweeps:
        raise RunError(
            "resume= goes on with one run, and the rest of the line is a sweep",
            where=" ".join(line.overrides),
            hint="leave out the lists of values, or resume=auto",
        )
    (point,) = line.points()
    identity, digest = lock.identity(point.run), _digest(point.run, line.root)
    runs = [listed.read(folder, line.root) for folder in finished.run_folders(line.root)]
    alike = [run for run in runs if run.manifest.get("identity") == identity and not run.manifest.get("verb")]
    alike.sort(key=lambda run: run.manifest.get("started", ""), reverse=True)
    others = []
    for run in alike:
        if run.status in ("finished", "unreadable"):
            continue
        if run.status == "running":
            others.append(f"{run.folder} is running on {run.manifest.get('host')}")
        elif why := differs(run.place / LOCK, digest):
            others.append(f"{run.folder} {why}")
        else:
            print(f"resume=auto: {go_on.override('resume', run.folder)}", flush=True)
            return run.place
    because = f" ({'; '.join(others)})" if others else ""
    print(f"resume=auto: no unfinished run {identity}{because}: a new one begins", flush=True)
    return None


def _digest(run: Run, root: Path) -> dict[str, Any] | None:
    """The hashes of the inputs; None where they are not there yet, so that no run can have begun with them."""
    inputs = find_inputs(run, root)
    if inputs.description is None or inputs.model_prepare:
        return None
    return inputs_digest(run, inputs)


def differs(file: Path, digest: dict[str, Any] | None) -> str:
    """What of a run's lock is otherwise now; empty where nothing is."""
    try:
        locked = read_lock(file)
    except RunError:
        return "was not locked"
    other = [name for name in ("data", "model", "difficulty") if _md5(locked["inputs"], name) != _md5(digest, name)]
    rewards = {name: term["md5"] for name, term in locked["inputs"]["rewards"].items()}
    if digest is None or rewards != {name: term["md5"] for name, term in digest["rewards"].items()}:
        other.append("rewards")
    if other:
        return f"had other inputs: {', '.join(other)}"
    return "had other versions" if locked["versions"] != lock.versions() else ""


def _md5(digest: dict[str, Any] | None, name: str) -> Any:
    return (digest or {}).get(name, {}).get("md5")
