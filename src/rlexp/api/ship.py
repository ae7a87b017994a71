"""``ship``: a run from its weights to its card, stage by stage, each by the verb that does it alone.

Every stage keeps what it did, so that the same command goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.api import verb
from rlexp.chosen import read as read_choice
from rlexp.compose import exports, tasks
from rlexp.compose.schema import Device
from rlexp.errors import Failed, Interrupted, RunError
from rlexp.evaluate import subjects
from rlexp.export import formats, push
from rlexp.record import benchmarks, finished, gates, go_on, ship_stage
from rlexp.record import exports as record

FORMATS = f"{exports.ROOT}=merged+gguf"
"""What is made where nothing is typed."""


@dataclass(frozen=True)
class Stage:
    """A verb with its words."""

    name: str
    words: list[str]
    record: Path | None = None
    """The file in which it tells what it found wrong with an artifact, with exit code 1."""


@dataclass(frozen=True)
class Planned:
    """What is to be shipped, checked as far as that costs nothing."""

    stages: list[Stage]
    folder: Path
    """Of the export."""
    shipped: dict[str, Any]
    """What ``shipped.json`` says at the end: the run's identity and what was asked for, the same on every machine."""
    push: str | None
    """Where it is copied to, with the card."""
    root: Path
    again: str
    """The command line, to type again."""


def planned(word: str, overrides: Sequence[str], limits: Sequence[str], here: Path, root: Path) -> Planned:
    """The stages.

    Args:
        word: RUN, RUN@STEP or RUN@best; a run that chose a checkpoint (``held_out.every``) means that one.
        overrides: ``eval=``, ``export=`` and ``hardware=``.
        limits: options of ``benchmark``.

    Raises:
        RunError: the word names no run, a task or a format is unknown, or a package is missing.
    """
    rest, evals = tasks.take(overrides)
    rest, wanted = exports.take(rest)
    if unread := [one for one in rest if not subjects.OF_HARDWARE.match(one)]:
        hint = "leave it out; ship reads eval=TASKS, export=FORMATS, their keys, and hardware=NAME"
        raise RunError("a run is shipped as it was trained, and this would not be read", " ".join(unread), hint)
    named, _, step = word.partition("@") if not (here / word).exists() else (word, "", "")
    run = finished.open(named, here, root)
    asked = list(wanted.typed) if wanted.names else [FORMATS, *wanted.typed]
    found = exports.read(exports.take(asked)[1], run.run.places, run.run.hardware.device is Device.cuda)
    formats.require(list(found.types))
    to = found.typed.push
    if to:
        push.ready(to, root)
        asked = ship_stage.without_push(asked)
    if evals.names:
        tasks.read(evals, run.run)
    name, choice = os.path.relpath(run.run_dir, root), read_choice(run.run_dir)
    step = step or ("best" if choice and choice["step"] != choice["began"] else "")
    weights = f"{name}@{step}" if step else name
    subjects.read([weights], rest, root, root)
    place = found.typed.dir
    folder = root / place if place else record.folder_of(run.run_dir, root)
    there = [f"{exports.ROOT}.dir={place}"] if place else []
    stages = [
        Stage("evaluate", ["evaluate", weights, *evals.typed, *rest]),
        Stage("export", ["export", weights, *asked, *rest], folder / record.MANIFEST),
        Stage("benchmark", ["benchmark", name, *limits, *there, *rest], folder / benchmarks.FILE),
        Stage("card", ["card", name, *([f"--dir={place}"] if place else [])]),
    ]
    shipped = ship_stage.receipt(run.lock["identity"], [*asked, *evals.typed])
    return Planned(stages, folder, shipped, to, root, go_on.line("ship", word, *overrides, *limits))


def ship(asked: Planned, say: Callable[[str], None]) -> list[str]:
    """Does the stages. What a stage finds wrong with an artifact is told by the card, so the next ones go on.

    Returns:
        What was found wrong; ``shipped.json`` is written where nothing was.

    Raises:
        Failed: a stage failed; those before it are kept.
        RunError: it cannot be copied where it was asked for.
        Interrupted: it was stopped.
    """
    receipt = asked.folder / record.SHIPPED
    receipt.unlink(missing_ok=True)
    wrong: list[str] = []
    for number, stage in enumerate(asked.stages, 1):
        say(f"[{number}/{len(asked.stages)}] {stage.name}")
        before = _moment(stage.record)
        try:
            code, _ = verb.run(stage.words, asked.root)
        except KeyboardInterrupt as error:
            interrupted = Interrupted(when=f"in the stage {stage.name}")
            interrupted.go_on = asked.again
            raise interrupted from error
        if code == 1 and stage.record and _moment(stage.record) not in (None, before):
            wrong += _wrong(stage.record)
        elif code:
            hint = f"see above, then type the same again; the stage alone: {go_on.line(*stage.words)}"
            failed = Failed(f"the stage {stage.name} ended with exit code {code}", where="ship", hint=hint)
            failed.exit_code, failed.go_on = code, asked.again if code != 2 else None
            raise failed
    if not wrong:
        record.write_json(receipt, asked.shipped)
    if asked.push:
        made = gates.manifest(asked.folder)["artifacts"]
        push.push(asked.folder, push.sound(made, say), asked.push, asked.root, say)
    return wrong


def _moment(file: Path | None) -> int | None:
    return file.stat().st_mtime_ns if file and file.is_file() else None


def _wrong(file: Path) -> list[str]:
    """What a stage's record says against artifacts."""
    found = []
    content = gates.manifest(file.parent) if file.name == record.MANIFEST else benchmarks.read(file.parent)
    for name, one in (content or {"artifacts": {}})["artifacts"].items():
        if one.get("verdict") == "broken":
            whys = "; ".join(why["why"] for why in one["reasons"] if why["level"] == "broken")
            found.append(f"{name} is broken: {whys}")
        if one.get("died"):
            found.append(f"{name} died at {one['died']['part']} in the benchmark")
    return found
