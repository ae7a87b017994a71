"""Whether a run that goes on is the run that began: what must be the same, and what is said where it is not."""

from __future__ import annotations

from typing import Any

from rlexp.compare.differences import differences, lines
from rlexp.compose import identity
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.record import go_on, lock
from rlexp.record.checkpoints import Checkpoint
from rlexp.record.finished import FinishedRun
from rlexp.record.lock import versions
from rlexp.record.machine import machine

Tree = dict[str, Any]
MACHINE = ("processor", "instructions", "gpus")
"""The parts of a machine that a trajectory depends on bit by bit, and that no setting brings back."""


def require_same(original: FinishedRun, run: Run, typed: list[str], shown: str, begun: Checkpoint | None) -> None:
    """Refuses an override that would make it another run."""
    if lock.identity(run) == original.lock["identity"]:
        return
    found = differences(identity.experiment(original.run.config()), run.experiment())
    at = f"{shown}@{begun.step}" if begun else shown
    raise RunError(
        f"a run goes on as it began, and this would make another one of it: {'; '.join(_named(found))}",
        where=" ".join(typed),
        hint=f"leave that out, or begin a new run of it: {go_on.line(go_on.override('fork', at), *typed)}",
    )


def _named(found: Tree) -> list[str]:
    """The differences in words; of a group that was chosen anew its name alone."""
    chosen = {key.rpartition(".")[0] for key in found if key.endswith(".name")}
    kept = {key: pair for key, pair in found.items() if key.partition(".")[0] not in chosen or key.endswith(".name")}
    return lines(kept)


def drift(original: FinishedRun, run: Run) -> list[str]:
    """What is otherwise now, so that the rest of the training need not be bit for bit what it would have been."""
    then, notes = original.lock, []
    here = machine()
    other = [f"{k} {then['versions'].get(k)} -> {v}" for k, v in versions().items() if then["versions"].get(k) != v]
    if other:
        notes.append(f"other versions than the lock's: {', '.join(other)}")
    known = {name: value for name, value in here.items() if name in MACHINE and name in then["machine"]}
    if changed := lines(differences({name: then["machine"][name] for name in known}, known)):
        notes.append(f"another machine: {'; '.join(changed)}")
    before, now = ({name: one.config()[name] for name in ("hardware", "rollout")} for one in (original.run, run))
    if changed := lines(differences(before, now)):
        notes.append(f"otherwise than it began: {'; '.join(changed)}")
    if notes:
        notes[-1] += "; the rest is not expected to be equal bit for bit to the run that nobody ended"
    return notes
