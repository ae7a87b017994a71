"""``fork=RUN@STEP``: a new run that begins from a checkpoint of another one, with that one's config."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from rlexp.chosen import LINK, best
from rlexp.compose.points import CommandLine
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.record import checkpoints, finished, go_on
from rlexp.record.checkpoints import Checkpoint
from rlexp.record.finished import FinishedRun
from rlexp.record.go_on import FORK, SHA256
from rlexp.record.lock import read_lock
from rlexp.record.run_folder import LOCK
from rlexp.train import continued
from rlexp.train.continued import Continued
from rlexp.whole import DIGEST, fault

SHAPE = ("path", "hub_id", "revision", "full_finetuning", "load_in_4bit")
ADAPTER = ("r", "target_modules")
"""Keys of the model, and of its adapter, that the weights of a checkpoint have the shape of."""


@dataclasses.dataclass(frozen=True)
class Forked:
    """What is done with every run that is composed for a fork."""

    continued: Continued
    checkpoint: Checkpoint

    def __call__(self, run: Run, overrides: list[str]) -> Run:
        """The run of the locked config and what was typed over it.

        Raises:
            RunError: the checkpoint's weights do not fit it, or it ends before the checkpoint.
        """
        made, before = self.continued(run, overrides), self.continued.config["model"]
        now = made.config()["model"]
        pairs = [(f"model.{key}", before[key], now[key]) for key in SHAPE]
        pairs += [(f"model.lora.{key}", before["lora"][key], now["lora"][key]) for key in ADAPTER]
        for key, then, asked in pairs:
            if then != asked:
                raise RunError(
                    f"a checkpoint's weights fit the model they were trained in: {key} is {then} there, {asked} here",
                    where=key,
                    hint=f"leave {key} out, or train anew without fork=",
                )
        steps, begun = made.arguments["max_steps"], self.checkpoint.step
        if 0 < steps <= begun:
            raise RunError(
                f"the checkpoint is of step {begun}, and the run ends at {steps}: nothing would be trained",
                where=f"method.max_steps={steps}",
                hint=f"max_steps counts from the beginning of the first run: type method.max_steps={2 * begun}",
            )
        return made


def over(line: CommandLine, here: Path) -> CommandLine:
    """The command line with the config of the run that ``fork=`` names beneath what was typed; another one as it is.

    Raises:
        RunError: there is no such run or checkpoint, or it is not the one whose hash was typed.
    """
    asked = go_on.take(line.overrides)
    if asked.fork is None:
        return line
    original, checkpoint = find(asked.fork, here, line.root)
    digest = sha256(checkpoint.folder)
    typed = next((one.partition("=")[2] for one in asked.rest if go_on.key_of(one) == SHA256), digest)
    if typed != digest:
        raise _other(checkpoint.folder, typed, digest)
    place = f"{go_on.place(original.run_dir, line.root)}@{checkpoint.step}"
    rest = [one for one in asked.rest if go_on.key_of(one) != SHA256]
    more = [go_on.override(FORK, place), f"{SHA256}={digest}"]
    made = continued.over(line, original, rest, more)
    assert isinstance(made.over, Continued)
    return dataclasses.replace(made, over=Forked(made.over, checkpoint))


def find(typed: str, here: Path, root: Path) -> tuple[FinishedRun, Checkpoint]:
    """The run that ``RUN[@STEP]`` names, and its checkpoint of that step, or of ``RUN@best`` the one that it chose; the
    last whole one where none is named.

    Raises:
        RunError: there is no such run, or no whole checkpoint of that step; the nearest is named.
    """
    named = [go_on.split(text) for text in go_on.texts(typed)]
    named += [(text, None) for text in go_on.texts(typed) if "@" in text]
    run_dir = go_on.folder_of([run for run, _ in named], FORK, here, root)
    step = next((step for run, step in named if step is not None and _names(run, run_dir, here, root)), None)
    shown = go_on.place(run_dir, root)
    original = finished.open(str(run_dir), here, root)
    if step == LINK:
        step = str(best(run_dir, f"{FORK}={shown}@{LINK}", go_on.override(FORK, shown)).step)
    if step is None:
        newest, skipped = checkpoints.last_whole(run_dir)
        if newest is None:
            why = "; ".join(f"{name}: {why}" for name, why in skipped.items())
            raise RunError(
                f"the run {shown} has no whole checkpoint{f' ({why})' if why else ''}",
                where=f"{FORK}={shown}",
                hint="train it with method.save_steps=N; a chain needs its weights only: model.start=RUN",
            )
        return original, newest
    found = checkpoints.of(run_dir)
    broken = fault(found[int(step)]) if int(step) in found else None
    if int(step) not in found or broken:
        whole = [number for number, folder in found.items() if not fault(folder)]
        near = min(whole, key=lambda number: abs(number - int(step)), default=None)
        raise RunError(
            f"the checkpoint of step {step} is not whole: {broken}"
            if int(step) in found
            else f"the run {shown} has no checkpoint of step {step}",
            where=f"{FORK}={shown}@{step}",
            hint=f"type {go_on.override(FORK, f'{shown}@{near}')}"
            if near is not None
            else "it kept none: train it with method.save_steps=N",
        )
    return original, Checkpoint(int(step), found[int(step)])


def checkpoint_of(run: Run, root: Path) -> Checkpoint | None:
    """The checkpoint that a run begins from, found by its path and verified by its hash; None of a run that is no fork.

    Raises:
        RunError: it is not there, or another one is.
    """
    if run.fork is None:
        return None
    place, step = go_on.split(run.fork)
    folder = checkpoints.of(root / place).get(int(step or 0))
    if folder is None:
        raise RunError(
            f"the checkpoint that the run begins from is not there: step {step} of {place}",
            where=f"{FORK}={run.fork}",
            hint="put that run folder back where it was; its weights are in no cache",
        )
    if (digest := sha256(folder)) != run.fork_sha256:
        raise _other(folder, str(run.fork_sha256), digest)
    return Checkpoint(int(step or 0), folder)


def lineage(run: Run, root: Path) -> dict[str, Any]:
    """The run that a fork begins from, for its manifest."""
    place, step = go_on.split(str(run.fork))
    lock = root / place / LOCK
    return {"run": place, "step": int(step or 0), "identity": read_lock(lock)["identity"] if lock.is_file() else ""}


def sha256(folder: Path) -> str:
    """The hash of a checkpoint: that of its digest, which holds those of all its files; of its weights, where an
    earlier version left it without."""
    total = hashlib.sha256()
    digest = folder / DIGEST
    for path in [digest] if digest.is_file() else sorted(folder.glob("*.safetensors")):
        total.update(path.read_bytes())
    return total.hexdigest()


def _names(text: str, run_dir: Path, here: Path, root: Path) -> bool:
    try:
        return go_on.folder_of([text], FORK, here, root) == run_dir
    except RunError:
        return False


def _other(folder: Path, wanted: str, actual: str) -> RunError:
    return RunError(
        f"{folder.name} is not the checkpoint that the run begins from",
        where=f"{folder}: expected {wanted[:16]}, actual {actual[:16]}",
        hint="put that run folder back as it was, or fork anew: fork=RUN@STEP without fork_sha256=",
    )
