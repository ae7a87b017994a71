"""An evaluation: every task on every subject, measured where it was not measured before, and what it says."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rlexp import files
from rlexp.compose.schema_eval import Kind
from rlexp.evaluate import kinds, regression, results, sizing
from rlexp.evaluate.candidates import Candidates
from rlexp.evaluate.kinds import completions
from rlexp.evaluate.subjects import Subject
from rlexp.evaluate.work import Work
from rlexp.inputs import snapshot
from rlexp.record import evaluation
from rlexp.reward.rubric import workers_for
from rlexp.whole import sha256

Said = Callable[[str], None]


@dataclass(frozen=True)
class Evaluated:
    """An evaluation that was made."""

    file: Path
    content: dict[str, Any]
    """What the file holds (``record.evaluation``)."""
    measured: dict[tuple[str, str], float] = field(default_factory=dict)
    """(task, subject) -> seconds, of what was measured now."""


@dataclass(frozen=True)
class Plan:
    """What is to be evaluated."""

    work: list[Work]
    subjects: list[Subject]
    """Those that others are compared with come first."""
    folder: Path
    """The folder of evaluations."""
    engine: str
    """transformers or vllm."""
    moment: datetime | None = None
    again: bool = False
    """Measure also what was measured before."""
    stored: list[Work] | None = None
    """Of each work the one whose stored samples it scores anew; None where it samples."""
    contamination: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Task -> run -> what its training rows share with the task's (``preflight.contamination``)."""

    def engine_of(self, work: Work) -> str:
        """What measures a task."""
        return kinds.engine_of(work.settled.named.task.kind, self.engine)

    def digests(self, work: Work, subject: Subject) -> dict[str, Any]:
        """What a file of samples is of."""
        found = self._asked(work, subject)
        if self.stored:
            before = self.samples_of(self.stored[self.work.index(work)], subject)
            found["rescored"] = sha256(before) if before.is_file() else ""
        return found

    def _asked(self, work: Work, subject: Subject) -> dict[str, Any]:
        engine = "" if subject.url or subject.artifact else self.engine_of(work)
        found, first = {"task": work.digest(), "subject": subject.digest, "engine": engine}, self.subjects[0]
        return {**found, "against": first.digest} if work.settled.named.task.judge and subject is not first else found

    def samples_of(self, work: Work, subject: Subject) -> Path:
        """The file of the samples that a rescoring begins with."""
        return self.folder / evaluation.samples_file(work.name, self._asked(work, subject))

    def samples(self, work: Work, subject: Subject) -> Path:
        """The file of the samples of a task and a subject."""
        return self.folder / evaluation.samples_file(work.name, self.digests(work, subject))


def evaluate(
    plan: Plan, say: Said = lambda line: None, counter: Callable[[int], Any] = lambda n: contextlib.nullcontext()
) -> Evaluated:
    """Measures what is missing, subject by subject, and writes what came out.

    A killed evaluation goes on with what it had not measured: each file of samples is whole or absent.

    Args:
        say: prints a line.
        counter: a context that is told how many prompts of so many are done.

    Raises:
        RunError: a subject cannot be loaded, or a reward failed.
    """
    _require_room(plan.folder)
    try:
        took = _rescore(plan) if plan.stored else _measure(plan, say, counter)
    except OSError as error:
        if error.errno in files.FULL and error.filename is None:
            error.filename = str(plan.folder)  # pyarrow does not say where
        raise
    content = _content(plan)
    file = evaluation.write(plan.folder, content)
    if took:
        cost = {"seconds": {f"{task} {name}": round(s, 3) for (task, name), s in took.items()}}
        files.write_text(file.parent / evaluation.COST, json.dumps(cost, indent=1) + "\n")
    return Evaluated(file, content, took)


def _require_room(folder: Path) -> None:
    """Tries whether the folder of evaluations can be written, before anything is sampled.

    Raises:
        OSError: it cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _measure(plan: Plan, say: Said, counter: Callable[[int], Any]) -> dict[tuple[str, str], float]:
    took: dict[tuple[str, str], float] = {}
    for engine in dict.fromkeys(plan.engine_of(work) for work in plan.work):
        own = [work for work in plan.work if plan.engine_of(work) == engine]
        with contextlib.closing(Candidates(plan.subjects, engine, plan.moment)) as candidates:
            took |= _measured(plan, own, candidates, say, counter)
    return took


def _measured(
    plan: Plan, tasks: list[Work], candidates: Candidates, say: Said, counter: Callable[[int], Any]
) -> dict[tuple[str, str], float]:
    """(task, subject) -> seconds, of what one engine measured."""
    took = {}
    with contextlib.ExitStack() as stack:
        scoring: dict[str, Any] = {}
        for subject in plan.subjects:
            missing = [work for work in tasks if plan.again or not plan.samples(work, subject).is_file()]
            if not missing:
                continue
            for work in missing:
                if work.name not in scoring and work.settled.reward.terms:
                    processes = work.run.hardware.reward_workers
                    workers = workers_for(work.settled.reward, work.inputs.rewards, processes)
                    scoring[work.name] = stack.enter_context(workers)
            with candidates.of(subject) as candidate:
                for work in missing:
                    say(f"{subject.name}: {work.name}, {len(work.rows)} prompts")
                    began = time.perf_counter()
                    with counter(len(work.rows)) as done:
                        base = _base(plan, work, subject)
                        table = kinds.module(work.settled.named.task.kind).measure(
                            work.with_(scoring.get(work.name), base, done), candidate
                        )
                    snapshot.write_table(table, plan.samples(work, subject))
                    took[work.name, subject.name] = time.perf_counter() - began
    return took


def _rescore(plan: Plan) -> dict[tuple[str, str], float]:
    took = {}
    for work, before in zip(plan.work, plan.stored or [], strict=True):
        processes = work.run.hardware.reward_workers
        with workers_for(work.settled.reward, work.inputs.rewards, processes) as workers:
            for subject in plan.subjects:
                began = time.perf_counter()
                table = kinds.read(Kind.completions, plan.samples_of(before, subject))
                scored = completions.rescored(work.with_(workers, None, None), subject.run, table)
                snapshot.write_table(scored, plan.samples(work, subject))
                took[work.name, subject.name] = time.perf_counter() - began
    return took


def _base(plan: Plan, work: Work, subject: Subject) -> Any:
    """The samples of the first subject, which the others are held against; None for it itself."""
    first = plan.subjects[0]
    kind = work.settled.named.task.kind
    return None if subject is first else kinds.read(kind, plan.samples(work, first))


def _content(plan: Plan) -> dict[str, Any]:
    """The evaluation as JSON values."""
    tasks = {work.name: work.digest() for work in plan.work}
    subjects = {one.name: {"digest": one.digest} for one in plan.subjects}
    seed = plan.work[0].seed
    locked = {"tasks": tasks, "subjects": subjects, "seed": seed, "engine": plan.engine}
    found: dict[str, Any] = {"samples": {}, "results": {}, "differences": {}, "detectable": {}}
    for work in plan.work:
        paths = {one.name: plan.samples(work, one) for one in plan.subjects}
        scores = {name: kinds.scores(work.settled, path) for name, path in paths.items()}
        declared = {name: source.bounds for name, source in work.inputs.rewards.items()}
        found["samples"][work.name] = {
            name: {"file": path.relative_to(plan.folder).as_posix(), "sha256": sha256(path)}
            for name, path in paths.items()
        }
        found["results"][work.name] = {name: results.estimates(of, declared) for name, of in scores.items()}
        found["differences"][work.name] = results.differences(work.settled, scores, declared)
        reach = sizing.bounds(work.settled, work.inputs.rewards)
        found["detectable"][work.name] = sizing.after(found["differences"][work.name], reach)
    results.adjust(found["differences"])
    general = [work.name for work in plan.work if work.settled.named.suite == regression.GENERAL]
    bases = [one.name for one in plan.subjects if one.base]
    found["forgotten"] = regression.forgotten(found["differences"], general, bases)
    found["general"] = general
    found["contamination"] = {
        task: {name: shared.to_json() for name, shared in of.items()} for task, of in plan.contamination.items()
    }
    return {"format": evaluation.FORMAT, "key": evaluation.key_of(locked), **locked, **found}
