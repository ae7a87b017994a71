"""``score``: the rewards alone. Their cases, the suite every reward passes, the versions of their code; with overrides
also gold completions and cheats over real rows of the data; ``completions=RUN`` scores a run's completions again."""

from __future__ import annotations

import dataclasses
import shlex
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rlexp import project
from rlexp.cli.answer import FORMAT, Answer
from rlexp.cli.arguments import command_line, hydra_options
from rlexp.compose.places import Places
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.evaluate.rescore import rescore
from rlexp.inputs import reward_source, reward_versions, trust
from rlexp.inputs.find import Inputs
from rlexp.inputs.prepare import prepare
from rlexp.inputs.reward_files import reward_sources
from rlexp.inputs.reward_source import RewardSource
from rlexp.inputs.trust import Code
from rlexp.project import shipped
from rlexp.record import finished
from rlexp.reward import gold, trial
from rlexp.reward.coverage import Coverage, coverage, spread_rows
from rlexp.reward.rubric import Rubric, workers_for

COLOURS = {reward_versions.RECORDED: "green", reward_versions.NEW: "yellow", reward_versions.CHANGED: "red"}
SHOWN = 3
"""Failing rows shown of each kind."""


@dataclass(frozen=True)
class Scored:
    """A reward after its trial."""

    name: str
    source: RewardSource
    mark: str
    """The relation of its code to the recorded versions (``reward_versions.mark``)."""
    trial: trial.Trial

    @property
    def passed(self) -> int:
        """The number of its cases that pass."""
        return sum(outcome.problem is None for outcome in self.trial.outcomes)

    @property
    def suite(self) -> str:
        """The outcome of the suite that every reward passes, in a word or two."""
        if self.trial.not_here:
            return "not tried here"
        return "fails" if self.trial.faults else "passed" if self.trial.conformed else "needs cases"

    def to_json(self) -> dict[str, Any]:
        """The trial as JSON values."""
        return {
            "name": self.name,
            "file": self.source.file,
            "version": self.source.version,
            "mark": self.mark,
            "cases": len(self.trial.outcomes),
            "cases_passed": self.passed,
            "suite": self.suite,
            "problems": self.trial.problems,
            "not_here": self.trial.not_here,
        }


def command(arguments: list[str], here: Path) -> Answer:
    """``score [overrides] [--record] [completions=RUN [against=REF]]``.

    The exit code is 1 when a reward fails: a case, the suite, a row of the data, or code that changed without a higher
    version; nothing is recorded then.

    Raises:
        RunError: the command line, a reward file or ``rewards.lock.yaml`` cannot be read.
    """
    options, root = _options(arguments), project.root()
    console = Console(highlight=False, soft_wrap=True)
    if options.completions:
        rescored = rescore(finished.open(options.completions, here, root), options.against, here)
        return Answer(lambda: {"format": FORMAT, "rescored": rescored.to_json()}, lambda: rescored.show(console))
    line = command_line(options, here)
    run = line.points()[0].run if line.composes else None
    _ = line.config  # whose hydra.searchpath may name shared folders
    scored = _tried(run, line.places)
    sources = [reward.source for reward in scored]
    trust.remember(Code(source.path) for source in sources)
    faults = reward_versions.faults(root, sources)
    show(console, scored, faults)
    failed = bool(faults) or any(reward.trial.problems for reward in scored)
    tried, covered = _try_rows(console, run, root) if run and not failed else ([], [])
    failed = failed or any(attempt.failing for attempt in tried)
    recorded = [] if failed else _record(console, options, root, scored)
    if failed and options.record:
        console.print("nothing was recorded")
    content = {
        "format": FORMAT,
        "passed": not failed,
        "rewards": [reward.to_json() for reward in scored],
        "faults": faults,
        "rows": [dataclasses.asdict(attempt) for attempt in tried],
        "coverage": [part.to_json() for part in covered],
        "recorded": [{"file": source.file, "version": source.version} for source in recorded],
    }
    return Answer(lambda: content, exit_code=int(failed))


def show(console: Console, scored: list[Scored], faults: list[str]) -> None:
    """Prints one row for each reward; below them every problem and every fault of a version."""
    table = Table(box=None, pad_edge=False)
    for column in ("reward", "version", "cases", "suite"):
        table.add_column(column)
    for reward in scored:
        outcomes, colour = reward.trial.outcomes, COLOURS[reward.mark]
        passed, suite = reward.passed, reward.suite
        count = f"{passed} of {len(outcomes)}" if outcomes else "0 cases"
        table.add_row(
            reward.name,
            f"{reward.source.version} [{colour}]{reward.mark}[/]",
            count if passed == len(outcomes) else f"[red]{count}[/]",
            "[red]fails[/]" if suite == "fails" else suite,
        )
    console.print(table)
    for reward in scored:
        if reward.trial.not_here:
            console.print(f"{reward.name} was not tried: {reward.trial.not_here}", markup=False)
        for problem in reward.trial.problems:
            console.print(f"{reward.name}, {problem}", markup=False)
    for fault in faults:
        console.print(fault, markup=False)


def _options(arguments: list[str]) -> Namespace:
    options = hydra_options(arguments, "score", record=f"add versions that are new to {reward_versions.FILE}")
    if options.multirun:
        raise RunError("score tries one reward setting at a time", where="-m", hint="leave out -m")
    for name in ("completions", "against"):
        typed = [o for o in options.overrides if o.startswith(f"{name}=")]
        options.overrides = [o for o in options.overrides if o not in typed]
        setattr(options, name, typed[-1].partition("=")[2] if typed else None)
    if options.against and not options.completions:
        raise RunError(
            "against=REF needs completions=RUN", where=f"against={options.against}", hint="type completions=RUN as well"
        )
    if options.completions and options.overrides:
        raise RunError(
            f"completions=RUN takes the run's own config, not {options.overrides[0]}",
            where=options.overrides[0],
            hint=f"leave out {options.overrides[0]}",
        )
    return options


def _tried(run: Run | None, places: Places) -> list[Scored]:
    """The trial of every reward that is asked for."""
    recorded = reward_versions.read(places.root)
    rows = trial.data_rows(prepare(run, places.root).data, 4) if run else []
    wanted = _rewards(run, places)
    trials = trial.try_rewards([(source, params) for _, source, params in wanted], rows)
    return [
        Scored(name, source, reward_versions.mark(recorded, source), tried)
        for (name, source, _), tried in zip(wanted, trials, strict=True)
    ]


def _rewards(run: Run | None, places: Places) -> list[tuple[str, RewardSource, dict[str, Any]]]:
    """Name, source and composed parameters of every reward that is asked for; those of the project and of shared
    folders, where none is."""
    if run:
        return [(name, source, run.reward.terms[name].params) for name, source in reward_sources(run).items()]
    files = places.own.names("rewards/*.py")
    if not files:
        raise RunError("there is no reward file", where="rewards/", hint=f"write one, as in {shipped()}/rewards")
    return [(Path(file).stem, reward_source.read(places.holder(file), file), {}) for file in files]


def _try_rows(console: Console, run: Run, root: Path) -> tuple[list[trial.Attempt], list[Coverage]]:
    """Prints what gold completions and cheats score, and how many rows each term applies to, and answers both; no
    completions where the data has no gold."""
    inputs = prepare(run, root)
    rows = trial.data_rows(inputs.data, trial.ROWS)
    if not (judged := gold.judged(run.dataset, rows)):
        console.print(f"{run.dataset.name} has no column answer: dataset.gold=TEMPLATE says what scores high in it")
        return [], _covered(console, run, inputs)
    with workers_for(run.reward, inputs.rewards, run.hardware.reward_workers) as workers:
        attempts = trial.try_rows(run, Rubric(run.reward, inputs.rewards, workers), judged)
    names = list(attempts[0].means)
    table = Table(title=f"\n{len(judged)} rows of {run.dataset.path}", title_justify="left", box=None, pad_edge=False)
    for column in ("completion", *names, "rows", "failing"):
        table.add_column(column, justify="left" if column == "completion" else "right")
    for attempt in attempts:
        means = [_number(attempt.means.get(name)) for name in names]
        count = len(attempt.failing)
        table.add_row(attempt.kind, *means, str(attempt.rows), f"[red]{count}[/]" if count else "0")
    console.print(table)
    for attempt in attempts:
        for sentence in attempt.failing[:SHOWN]:
            console.print(f"{attempt.kind}, {sentence}", markup=False)
    return attempts, _covered(console, run, inputs)


def _covered(console: Console, run: Run, inputs: Inputs) -> list[Coverage]:
    """Prints how many rows of the data each term applies to, and answers it."""
    sources = {name: source for name, source in inputs.rewards.items() if not source.whole_batches}
    with workers_for(run.reward, sources, run.hardware.reward_workers) as workers:
        rubric = Rubric(dataclasses.replace(run.reward, max_failed=1.0), sources, workers)
        found = coverage(rubric, spread_rows(inputs.data))
    for part in found:
        console.print(str(part), markup=False)
    return found


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _record(console: Console, options: Namespace, root: Path, scored: list[Scored]) -> list[RewardSource]:
    """Records versions that are new, where that was asked for; answers those that were added."""
    if options.record:
        added = reward_versions.record(root, [reward.source for reward in scored])
        named = ", ".join(f"{source.file} version {source.version}" for source in added)
        console.print(
            f"recorded in {reward_versions.FILE}: {named}"
            if added
            else f"nothing new to record in {reward_versions.FILE}"
        )
        return added
    if any(reward.mark == reward_versions.NEW for reward in scored):
        again = shlex.join(["python", "-m", "rlexp", "score", *options.overrides, "--record"])
        console.print(f"to record what is new in {reward_versions.FILE}: {again}", markup=False)
    return []
