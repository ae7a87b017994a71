"""Export: the artifacts of a run, each held against the run in its own runtime; the one way to it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.api import export_manifest
from rlexp.api.evaluate import evaluate_plan, plan_of
from rlexp.api.evaluate import require_ready as require_task
from rlexp.compose import exports as composed
from rlexp.compose.exports import Wanted
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.compose.second_root import Asked as SecondRoot
from rlexp.errors import RunError
from rlexp.evaluate import subjects
from rlexp.evaluate.dialogues import dialogues_of
from rlexp.evaluate.evaluation import Plan
from rlexp.export import build, push, snippets, source
from rlexp.export.gate import gate
from rlexp.export.gate.reference import Asked
from rlexp.export.recommend import recommend
from rlexp.export.source import Source
from rlexp.record import exports, gates, status
from rlexp.record.exports import Artifact
from rlexp.runtimes.host import Died, Host
from rlexp.runtimes.protocol import Sampling
from rlexp.train.folders import TAKEN

Said = Callable[[str], None]


@dataclass(frozen=True)
class Planned:
    """An export, checked before anything is loaded."""

    wanted: Wanted
    source: Source
    folder: Path
    plan: Plan
    """The evaluation of the run on the task: its rows and inputs."""
    root: Path
    here: Path


@dataclass(frozen=True)
class Exported:
    """An export that was made."""

    folder: Path
    content: dict[str, Any]
    """What the manifest holds."""

    @property
    def broken(self) -> list[str]:
        """The artifacts that the gate found broken."""
        return [name for name, one in self.content["artifacts"].items() if one["verdict"] == "broken"]


def planned(word: str, overrides: Sequence[str], here: Path, root: Path) -> Planned:
    """What is to be exported.

    Args:
        word: the run: RUN, RUN@STEP, RUN@best.
        overrides: ``export=``, ``export.KEY=`` and ``hardware=``.

    Raises:
        RunError: the word names no run, a format is unknown, a package or an input is missing.
    """
    rest, asked = composed.take(overrides)
    if unread := [one for one in rest if not subjects.OF_HARDWARE.match(one)]:
        hint = "leave it out; an export reads export=FORMATS, export.KEY=VALUE and hardware=NAME"
        raise RunError("a run is exported as it was trained, and this would not be read", " ".join(unread), hint)
    found = subjects.read([word], rest, here, root)
    one = next((one for one in found if one.original and one.weights), found[-1])
    of = source.of(one)
    wanted = composed.read(asked, one.run.places, one.run.hardware.device is Device.cuda)
    build.formats.require(list(wanted.types))
    if wanted.typed.push:
        push.ready(wanted.typed.push, root)
    with _named(wanted):
        plan = plan_of([word], [*wanted.task, *rest], here, root)
    assert one.original
    folder = root / wanted.typed.dir if wanted.typed.dir else exports.folder_of(one.original.run_dir, root)
    require_place(folder, root)
    others = exports.artifacts(folder)
    if clash := next((a for a in others if a.content["of"]["run"] != one.name.partition("@")[0]), None):
        hint = f"type {composed.ROOT}.dir=exports/NAME"
        what = f"the exports of {clash.content['of']['run']} lie there"
        raise RunError(what, where=os.path.relpath(folder, root), hint=hint)
    return Planned(wanted, of, folder, plan, root, here)


@contextlib.contextmanager
def _named(wanted: Wanted) -> Iterator[None]:
    """A mistake in the task is one in the key that names it here."""
    try:
        yield
    except RunError as error:
        if error.where == f"eval={wanted.typed.task}":
            error.where = f"{composed.ROOT}.task={wanted.typed.task}"
        raise


def export(asked: Planned, say: Said = lambda line: None) -> Exported:
    """Makes the artifacts, holds each against the run, and writes the manifest.

    Raises:
        RunError: a format cannot be made of this model.
    """
    with exports.claimed(asked.folder, os.path.relpath(asked.folder, asked.root)):
        return _export(asked, say)


def _export(asked: Planned, say: Said) -> Exported:
    of = asked.source
    if unfinished := _unfinished(of):
        say(f"{of.subject.name} is {unfinished}: what it left is exported")
    made = build.make(asked.wanted, of, asked.folder, lambda model: _own(asked, model), say)
    on = asked_of(asked)
    context = of.subject.run.model.max_seq_length
    together = 16 if of.device == "cpu" else 64
    trained = of.reference(context, together)
    try:
        found = gate.measured(of, made, on, trained, asked.folder, say)
    except Died as error:
        hint = "python -m rlexp inspect RUN says whether the run answers at all"
        raise RunError(f"the run itself cannot be loaded: {error}", where=of.subject.name, hint=hint) from error
    scored = _scored(asked, made, found, say)
    before = gates.manifest(asked.folder).get("artifacts", {})
    shown = _shown(on, made, found, before, say)
    content = export_manifest.manifest(made, found, scored, shown)
    content["artifacts"] |= export_manifest.rows_kept(asked.folder, before, made, say)
    typed = asked.wanted.typed
    if typed.want:
        content["ship"] = recommend(content["artifacts"], typed.want, typed.at_most)
    exports.write_json(asked.folder / exports.MANIFEST, content)
    done = Exported(asked.folder, content)
    if typed.push:
        push.push(asked.folder, push.sound(content["artifacts"], say), typed.push, asked.root, say)
    return done


def require_place(folder: Path, root: Path) -> None:
    """Sees that a folder may take an export: new, or one already, in the project.

    Raises:
        RunError: it holds other things, or leads elsewhere.
    """
    shown = os.path.relpath(folder, root)
    if (top := Path(shown).parts[:1]) and top[0] in TAKEN:
        hint = f"type {composed.ROOT}.dir=exports/NAME"
        raise RunError(f"{top[0]} holds other things than exports", where=f"{composed.ROOT}.dir={shown}", hint=hint)
    exports.require_inside(folder, root)
    exports.require_own(folder, shown)


def _unfinished(of: Source) -> str:
    """How a run stands that did not finish; nothing of one that did."""
    original = of.subject.original
    stands = status.sentence(original.manifest) if original else "finished"
    return "" if stands in ("finished", "") else stands


def asked_of(asked: Planned) -> Asked:
    """The prompts of the task, as the run is asked them."""
    work, settings = asked.plan.work[0], asked.wanted.typed.gate
    dialogues = dialogues_of(work, asked.source.subject.run)
    return Asked(dialogues, settings.rows, settings.tokens, work.settled.held_out.max_new_tokens)


def _own(asked: Planned, model: Path) -> list[list[int]]:
    """The run's own completions with their prompts, sampled for formats that calibrate."""
    spec = dataclasses.replace(asked.source.reference(asked.source.subject.run.model.max_seq_length, 16), path=model)
    on = asked_of(asked)
    wanted, turn = asked.wanted.typed.gguf.imatrix_tokens, 0
    found: list[list[int]] = []
    with Host(dataclasses.replace(spec, adapter=None)) as host:
        prompts = host.encode(host.render(on.dialogues))
        while sum(map(len, found)) < wanted:
            at = turn * spec.together % len(prompts)
            some = prompts[at : at + spec.together]
            answers = host.generate(some, Sampling(on.max_new_tokens, 1.0), 10_000 + turn, spec.together)
            found += [prompt + one.ids for prompt, one in zip(some, answers, strict=True)]
            turn += 1
    return found


def _scored(asked: Planned, made: list[Artifact], found: dict[str, Any], say: Said) -> dict[str, dict[str, Any]]:
    """Artifact -> the paired difference of the task's metric from the run; those that could not be loaded are left
    out."""
    alive = [one for one in made if "died" not in found[one.name]]
    names = [os.path.relpath(one.folder, asked.root) for one in alive]
    run = asked.source.subject.name
    temperature = f"eval.temperature={asked.wanted.typed.gate.temperature}"
    plan = plan_of([run, *names], [*asked.wanted.task, temperature], asked.root, asked.root)
    content = evaluate_plan(plan, say, lambda total: contextlib.nullcontext(lambda done: None)).content
    (differences,) = (content["differences"][name] for name in content["tasks"])
    of = {one["other"]: one for one in differences if one["claimed"] and one["one"] == run}
    margin = asked.wanted.typed.gate.margin
    return {one.name: {**of[name], "margin": margin} for one, name in zip(alive, names, strict=True) if name in of}


def _shown(
    on: Asked, made: list[Artifact], found: dict[str, Any], before: dict[str, Any], say: Said
) -> dict[str, dict[str, Any]]:
    """Artifact -> the program that asks it, and whether its answer is the one that the gate saw.

    Args:
        before: the artifacts as the manifest told them; a program that gave the gate's answer is not run again.
    """
    shown = {}
    for one in made:
        first = found[one.name].get("first")
        if first is None:
            continue
        kwargs = one.content["template_kwargs"]
        program = snippets.program(one.content["runtime"], on.dialogues[0], on.max_new_tokens, kwargs)
        told = before.get(one.name, {"files": None})
        was = told["snippet"] if told["files"] == one.content["files"] else None
        if was and was["same"] and was["program"] == program:
            shown[one.name] = was
            continue
        say(f"{one.name}: the program that a card shows")
        good, said = snippets.ran(program, one.path)
        same = good and said.strip().endswith(first.strip())
        shown[one.name] = {"program": program, "same": same, "said": said[-1000:]}
    return shown


def require_ready(asked: SecondRoot, run: Run, root: Path) -> None:
    """Composes the formats that are asked for of a run that is to be trained, and sees that what they take is there.

    Raises:
        RunError: a format or key is unknown, or a package is missing.
    """
    wanted = composed.read(asked, run.places, run.hardware.device is Device.cuda)
    build.formats.require(list(wanted.types))
    with _named(wanted):
        require_task(SecondRoot((wanted.typed.task,)), run, root)
    if wanted.typed.push:
        push.ready(wanted.typed.push, root)
