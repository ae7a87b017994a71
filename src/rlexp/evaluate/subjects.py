"""What is evaluated, as it is named on the command line: a run, a step of it, its base, a model, an endpoint.

    RUN, RUN@STEP, RUN@best, RUN@base    the weights that a run left, of a checkpoint, what it began with
    FOLDER, hub:ORG/NAME, OPTION         a model: merged weights, one of the hub, an option of conf/model
    exports/RUN/ARTIFACT                 an exported artifact, in its own runtime
    http://HOST/v1[#MODEL]               an OpenAI-compatible endpoint

Imports no torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.chosen import LINK
from rlexp.chosen import read as read_choice
from rlexp.compose import start, typed_ids
from rlexp.compose.places import Places
from rlexp.compose.points import CommandLine
from rlexp.compose.run import Run
from rlexp.compose.schema import Rollout
from rlexp.errors import RunError, nearest, printable
from rlexp.evaluate import endpoint
from rlexp.inputs import hashes
from rlexp.inputs.digest import json_sha256
from rlexp.inputs.find import Inputs
from rlexp.inputs.prepare import prepare
from rlexp.record import exports, finished, locked_config, sweeps
from rlexp.record.exports import Artifact
from rlexp.record.finished import FinishedRun
from rlexp.record.lock import template_time

BASE = "base"
STEPS = ("best", "last", BASE)
OF_HARDWARE = re.compile(r"hardware[.=]")
"""The overrides that a run is evaluated with: the rest is as it was locked."""


@dataclass(frozen=True)
class Subject:
    """One set of weights, or an endpoint, that is evaluated."""

    name: str
    """As the table calls it: what was typed, from the project's folder."""
    run: Run
    """Says the model and how it is spoken to: the run that trained it, or one that the overrides compose."""
    inputs: Inputs | None = None
    """None of an endpoint."""
    weights: Path | None = None
    """The folder of an adapter, or of a model of which every weight was trained; None for the base."""
    original: FinishedRun | None = None
    """The run that left them."""
    url: str | None = None
    model: str | None = None
    """The model's name at the endpoint; None of any other."""
    artifact: Artifact | None = None
    """What ``export`` made."""

    @property
    def base(self) -> bool:
        """Says whether it is what a run began with, or a model that no run of ours trained."""
        return self.weights is None and self.url is None and self.artifact is None

    @functools.cached_property
    def digest(self) -> dict[str, Any]:
        """What was evaluated, by its hashes, the same wherever it lies."""
        if self.url:
            return {"url": self.url, "model": self.model}
        if self.artifact:
            return self.artifact.digest
        assert self.inputs
        found: dict[str, Any] = {"model": hashes.model_digest(self.run, self.inputs.model)["md5"]}
        found |= {"load_in_4bit": self.run.model.load_in_4bit, "dtype": self.run.hardware.dtype.name}
        begun = self.inputs.start
        if self.weights:
            files = sorted(path.name for path in self.weights.iterdir() if path.name in _files(self.weights))
            found["weights"] = start.sha256(self.weights, files)
        elif begun:
            found["weights"] = begun.digest["sha256"]
        return found

    @property
    def key(self) -> str:
        """The hash of what was evaluated."""
        return json_sha256(self.digest)


def _files(folder: Path) -> set[str]:
    if (folder / start.CONFIG).is_file():
        return {start.CONFIG, start.ADAPTER}
    return {path.name for pattern in start.MODEL_FILES for path in folder.glob(pattern)}


def read(words: Sequence[str], overrides: list[str], here: Path, root: Path) -> list[Subject]:
    """What the words of the command line name, in their order, each once; behind the first run what it began with.

    Args:
        overrides: of the composed run that a model and an endpoint are spoken to by.

    Raises:
        RunError: a word names nothing, or what it names cannot be had.
    """
    found: list[Subject] = []
    for word in words:
        found += _read(word, overrides, here, root)
    if not found:
        run = _composed(overrides, root)
        found = [Subject(run.model.name, run, _prepared(run, root))]
    if begun := next((one for one in found if one.original and one.inputs), None):
        found.insert(0, dataclasses.replace(begun, name=BASE, weights=None))
    kept: dict[str, Subject] = {}
    for one in found:
        if (first := kept.setdefault(one.key, one)) is not one and first.name != one.name:
            print(f"note: {one.name} has the weights of {first.name}, and stands once", file=sys.stderr)
    return list(kept.values())


def _read(word: str, overrides: list[str], here: Path, root: Path) -> list[Subject]:
    if word.startswith(("http://", "https://")):
        url, _, model = word.partition("#")
        url = endpoint.checked(url)
        run = _composed(overrides, root)
        if not model:
            with endpoint.Endpoint(url) as asked:
                model = asked.served()
        return [Subject(f"{url}#{model}", run, url=url, model=model)]
    if one := _artifact(word, overrides, here, root):
        return [one]
    named, _, step = word.rpartition("@")
    if _is_run(word, here, root) or not named:  # a folder's own name goes before a step
        named, step = word, ""
    if _is_run(named, here, root):
        if word != named and not step.isdecimal() and step not in STEPS:
            guess = nearest(step, STEPS) or STEPS[0]
            what = f"{named} is a run, and {step!r} none of its steps"
            raise RunError(what, where=word, hint=f"type {named}@{guess}, or the step of a checkpoint")
        return [_of_run(named, step, overrides, here, root)]
    sweeps.refuse(word, here, root)
    there = any((place / word).is_dir() for place in (here, root)) or word.startswith(typed_ids.PREFIX)
    if there or Places.of(root).option_file(f"model/{word}").is_file():
        (typed,) = typed_ids.from_project([f"model={word}"], here, root)
        run = _composed([*overrides, typed], root)
        return [Subject(typed.partition("=")[2], run, _prepared(run, root))]
    raise _nothing(word, named, root)


def _is_run(named: str, here: Path, root: Path) -> bool:
    """Whether a run lies there: a folder with a lock, or the lock."""
    for path in (here / named, root / named):
        if (path / finished.LOCK).is_file() or (path.name == finished.LOCK and path.is_file()):
            return True
    return False


def _of_run(named: str, step: str, overrides: list[str], here: Path, root: Path) -> Subject:
    original = finished.open(named, here, root)
    run = locked_config.on_this_machine(original.run, root)
    if hardware := [one for one in overrides if OF_HARDWARE.match(one)]:
        run = locked_config.on_hardware(run, hardware, root)
    run = _by_transformers(run)
    name = os.path.relpath(original.run_dir, root) + (f"@{step}" if step else "")
    try:
        weights = None if step == BASE else original.weights(_step(step))
    except RunError as error:
        hint = (error.hint or "").replace("type it without checkpoint=", f"type {named}")
        hint = hint.replace("type checkpoint=", f"type {named}@")
        if step == LINK and (begun := _begun(original, named)):
            hint += f", or {begun} for what it began with"
        raise RunError(error.what, where=name, hint=hint) from error
    with contextlib.redirect_stdout(sys.stderr):
        inputs, notes = original.inputs(run)
    for note in notes:
        print(f"note: {printable(note)}", file=sys.stderr)
    return Subject(name, run, inputs, weights, original)


def _artifact(word: str, overrides: list[str], here: Path, root: Path) -> Subject | None:
    """The artifact that lies at a path, spoken to as the run that it is of, where that run is here."""
    for folder in (here / word, root / word):
        if one := exports.read(folder):
            exports.require_whole(one)
            named = one.content["of"]["run"]
            run = _of_run(named, "", [], here, root).run if _is_run(named, here, root) else _composed(overrides, root)
            return Subject(os.path.relpath(folder, root), run, artifact=one)
    return None


def _begun(original: FinishedRun, named: str) -> str | None:
    """What a run that chose what it began with is named by; None of one that chose something else or nothing."""
    choice = read_choice(original.run_dir)
    if choice is None or choice["step"] != choice["began"]:
        return None
    fork = original.manifest.get("fork")
    return f"{fork['run']}@{fork['step']}" if fork else f"{named}@{BASE}"


def _step(step: str) -> Any:
    return int(step) if step.isdecimal() else step or None if step != "last" else None


def _composed(overrides: list[str], root: Path) -> Run:
    (point,) = CommandLine(root, overrides).points()
    return _by_transformers(point.run)


def _by_transformers(run: Run) -> Run:
    """The run without the engine that a training samples with: an evaluation has its own."""
    return dataclasses.replace(run, rollout=Rollout(name="generate", patches=run.rollout.patches))


def _prepared(run: Run, root: Path) -> Inputs:
    with contextlib.redirect_stdout(sys.stderr):
        return prepare(run, root)


def _nothing(word: str, named: str, root: Path) -> RunError:
    runs = [path.relative_to(root).as_posix() for path in finished.run_folders(root)]
    options = list(Places.of(root).option_files("model"))
    guess = nearest(named, [*runs, *options])
    return RunError(
        f"{word} names nothing that can be evaluated",
        where=word,
        hint=(f"did you mean {guess}? " if guess else "")
        + "name a run (python -m rlexp runs lists them), RUN@STEP, a model folder, an option of conf/model, or a URL",
    )


def moment(subjects: Sequence[Subject]) -> Any:
    """What chat templates take for now: what the lock of the first run says."""
    return next((found for one in subjects if one.original and (found := template_time(one.original.lock))), None)
