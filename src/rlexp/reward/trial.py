"""Tries rewards before anybody trains on them: their cases, the suite every reward passes, and real rows of the data.

``score`` shows all of it; a run does not start with a reward that fails (``require``).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlexp.compose.environment import resolved
from rlexp.compose.run import Run
from rlexp.errors import RunError, printable
from rlexp.inputs import snapshot
from rlexp.inputs.digest import remembered
from rlexp.inputs.find import Inputs
from rlexp.inputs.messages import restored
from rlexp.inputs.reward_rows import met
from rlexp.inputs.reward_source import RewardSource
from rlexp.inputs.script import Ended, in_process, load_script
from rlexp.reward import conformance, gold, sandbox
from rlexp.reward.cases import Outcome, run_cases
from rlexp.reward.conformance import stand_in_ids
from rlexp.reward.function import function_of
from rlexp.reward.rubric import Batch, Rubric

ROWS = 64
"""Rows of the data that gold completions and cheats are made of."""
HIGH, LOW = 0.9, 0.5
"""Parts of a term's range: a gold completion reaches the first, no cheat goes beyond the second."""
TRIAL_SECONDS, QUIET_SECONDS = 120.0, 10.0
"""After which a reward that is still busy with its own cases hangs, and after which that is said to be waited for."""


@dataclass(frozen=True)
class Trial:
    """The outcome of the cases and the suite of one reward file."""

    outcomes: list[Outcome]
    faults: list[str]
    conformed: bool
    """True where the suite could be run: it needs cases, or rows that have what the reward reads."""
    not_here: str = ""
    """Why this machine cannot try it; empty where it can."""

    @property
    def problems(self) -> list[str]:
        """Every failure as a sentence."""
        failed = [(n, o) for n, o in enumerate(self.outcomes, start=1) if o.problem is not None]
        return [f"case {number}: {outcome.shown} {outcome.problem}" for number, outcome in failed] + self.faults


Wanted = tuple[RewardSource, Mapping[str, Any]]
"""A reward file and its composed parameters."""


def try_rewards(wanted: Sequence[Wanted], rows: Sequence[Mapping[str, Any]]) -> list[Trial]:
    """Runs the cases and the conformance suite of rewards, in processes of their own.

    Args:
        wanted: the rewards.
        rows: of the data they will meet; may be empty.

    Raises:
        RunError: a file cannot be imported, or a reward hangs or ends its process.
    """
    with ThreadPoolExecutor(min(len(wanted), os.cpu_count() or 1)) as threads:
        return list(threads.map(lambda item: _tried(item[0], item[1], list(rows)), wanted))


def _tried(source: RewardSource, params: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> Trial:
    try:
        with _waiting(source):
            return in_process(source.path, source.file, TRIAL_SECONDS, _try, source, resolved(dict(params)), rows)
    except TimeoutError as error:
        raise RunError(
            f"the reward {source.path.stem} hangs: no verdict after {TRIAL_SECONDS:.0f} s",
            where=source.file,
            hint="look for a loop that some completion never ends",
        ) from error
    except Ended as error:
        raise RunError(
            f"the reward {source.path.stem} {error} before it answered",
            where=source.file,
            hint="it must answer scores, and not end the process: look for os._exit(), or a library that crashes",
        ) from error


@contextlib.contextmanager
def _waiting(source: RewardSource) -> Iterator[None]:
    """Says what is waited for where that takes long: the time limit of a run is not yet that of its rewards, which may
    be imported for the first time here."""
    said = f"note: {source.file} is still busy with its own cases; given up after {TRIAL_SECONDS:g} s"
    timer = threading.Timer(QUIET_SECONDS, lambda: print(printable(said), file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _try(source: RewardSource, params: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Trial:
    if "sandbox" in source.params and params.get("sandbox") != sandbox.NONE and not sandbox.available():
        return Trial([], [], False, f"no sandbox: {sandbox.HINT}")
    conversational = not isinstance(rows[0]["prompt"], str) if rows else None
    source = met(source, rows[0] if rows else (), conversational)
    outcomes = run_cases(source, params)
    module = load_script(source.path)
    function = function_of(module, source)
    tried = conformance.samples(source, getattr(module, "cases", []), rows)
    given = {**next((_case_params(source, case) for case in getattr(module, "cases", [])), {}), **params}
    ready = bool(tried) and all(name in given for name in source.required_params)
    return Trial(outcomes, list(conformance.faults(source, function, given, tried)) if ready else [], ready)


def _case_params(source: RewardSource, case: Any) -> dict[str, Any]:
    return {name: case[name] for name in source.params if isinstance(case, Mapping) and name in case}


def require(run: Run, inputs: Inputs) -> None:
    """Refuses to train on a reward whose cases or conformance fail; what passed once is not tried again.

    Raises:
        RunError: names the reward and its first failure.
    """
    rows = data_rows(inputs.data, 4)
    for name, source in inputs.rewards.items():
        params = run.reward.terms[name].params
        tried = ["trial", source.md5, source.turns, params, source.file, str(rows)]
        key = json.dumps(tried, sort_keys=True, default=str)
        _pass(key, name, source, params, rows)


def _pass(key: str, name: str, source: RewardSource, params: Mapping[str, Any], rows: Sequence[Any]) -> None:
    def attempt() -> bool:
        trial = try_rewards([(source, params)], rows)[0]
        if trial.not_here:
            raise RunError(f"the reward {name} cannot run on this machine", where=source.file, hint=trial.not_here)
        problems = trial.problems
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise RunError(
                f"[reward.trial] the reward {name} fails: {problems[0]}{more}; nothing was started",
                where=source.file,
                hint="python -m rlexp score shows all of it",
            )
        return True

    remembered(key, attempt)


@functools.cache
def data_rows(snapshot_dir: Path, count: int) -> list[dict[str, Any]]:
    """The first rows of a snapshot's test split (of its only split, where there is one)."""
    found = sorted(snapshot_dir.glob("*.parquet"), key=lambda path: path.stem != "test")
    read = snapshot.read(found[0], rows=count).to_pylist()
    return [{name: restored(value) for name, value in row.items()} for row in read]


@dataclass(frozen=True)
class Attempt:
    """One kind of completion over rows of the data."""

    kind: str
    means: dict[str, float | None]
    """Term, and ``reward`` for their combination -> mean; None where nothing applies."""
    rows: int
    failing: list[str]
    """One sentence for each row that scored what it must not."""


def try_rows(run: Run, rubric: Rubric, rows: Sequence[Mapping[str, Any]]) -> list[Attempt]:
    """Scores gold completions and cheats made of the rows.

    Gold must reach the top of every term's range, HIGH of it. A cheat must not get beyond LOW of the range of a term
    that looks at the row (reads a column), nor reach the gold completion's combined reward.

    Returns:
        The gold attempt first, then one for each kind of cheat.
    """
    texts = gold.completions(rows, gold.templates(run.dataset, rows))
    best = score_texts(rubric, rows, texts)
    looking = [name for name, source in rubric.sources.items() if source.columns and name in best.scores]
    attempts = [_attempt("gold", best, _gold_failures(rubric, best))]
    for kind, tricks in gold.cheats(rows, texts).items():
        excused = {name for name in looking if gold.IGNORED.get(kind) in rubric.sources[name].ignores}
        judged = [name for name in looking if name not in excused]
        which = [number for number, text in enumerate(tricks) if text is not None]
        if not which or not judged:
            continue
        batch = score_texts(rubric, [rows[n] for n in which], [str(tricks[n]) for n in which])
        attempts.append(_attempt(kind, batch, _cheat_failures(rubric, batch, best, which, judged)))
    return attempts


def score_texts(rubric: Rubric, rows: Sequence[Mapping[str, Any]], texts: list[str]) -> Batch:
    """The scores of one text for each row, by every term whose columns the rows have."""
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "prompt"}
    return rubric.score(texts, [row["prompt"] for row in rows], {**columns, "completion_ids": stand_in_ids(texts)})


def _attempt(kind: str, batch: Batch, failing: list[str]) -> Attempt:
    named = {**batch.scores, "reward": batch.rewards}
    applied = {name: [score for score in scores if score is not None] for name, scores in named.items()}
    means = {name: sum(scores) / len(scores) if scores else None for name, scores in applied.items()}
    return Attempt(kind, means, len(batch.completions), failing)


def _level(source: RewardSource, part: float, scores: Sequence[float | None]) -> float:
    """The score at this part of a term's range; where none is declared, of 0 up to the best score that was seen."""
    low, high = source.bounds or (0.0, max((score for score in scores if score is not None), default=1.0) or 1.0)
    return low + part * (high - low)


def _gold_failures(rubric: Rubric, best: Batch) -> list[str]:
    failing = []
    for name, scores in best.scores.items():
        wanted = _level(rubric.sources[name], HIGH, scores)
        failing += [
            f"row {number}: {name} gives a gold completion {score:g}: {best.completions[number]!r}"
            for number, score in enumerate(scores)
            if score is not None and score < wanted
        ]
    return failing


def _cheat_failures(rubric: Rubric, batch: Batch, best: Batch, which: list[int], judged: list[str]) -> list[str]:
    failing = []
    for place, number in enumerate(which):
        text = batch.completions[place]
        for name in judged:
            score = batch.scores[name][place]
            if score is not None and score > _level(rubric.sources[name], LOW, best.scores[name]):
                failing.append(f"row {number}: {name} gives it {score:g}: {text!r}")
        reward, top = batch.rewards[place], best.rewards[number]
        if reward is not None and top is not None and reward >= top and not failing:
            failing.append(f"row {number}: it is rewarded {reward:g}, the gold completion {top:g}: {text!r}")
    return failing
