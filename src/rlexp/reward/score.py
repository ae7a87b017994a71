"""``score``: the rewards alone. Runs the cases of every reward file, and guards its version."""

from __future__ import annotations

import shlex
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rlexp import project
from rlexp.command import Parser
from rlexp.compose.points import points
from rlexp.errors import RunError
from rlexp.inputs import reward_source, versions
from rlexp.inputs.check import reward_sources
from rlexp.inputs.reward_source import RewardSource
from rlexp.reward.cases import Outcome, run_cases

COLOURS = {versions.RECORDED: "green", versions.NEW: "yellow", versions.CHANGED: "red"}


@dataclass(frozen=True)
class Scored:
    """A reward after its cases were run."""

    name: str
    source: RewardSource
    mark: str
    """How its code stands to the recorded versions (``versions.mark``)."""
    outcomes: list[Outcome]

    @property
    def passed(self) -> int:
        """Cases that scored as they say."""
        return sum(outcome.problem is None for outcome in self.outcomes)


def command(arguments: list[str], here: Path) -> int:
    """``score [overrides] [--record]``: every reward file, or the terms that the overrides compose.

    Returns:
        0, or 1 when a case fails or code changed without a higher version; nothing is recorded then.

    Raises:
        RunError: the command line, a reward file or ``rewards.lock.yaml`` cannot be read.
    """
    options, root = _options(arguments), project.root()
    recorded = versions.read(root)
    scored = [
        Scored(name, source, versions.mark(recorded, source), run_cases(source, params))
        for name, source, params in _rewards(root, options.overrides)
    ]
    sources = [reward.source for reward in scored]
    faults = versions.faults(root, sources)
    console = Console(highlight=False, soft_wrap=True)
    show(console, scored, faults)
    if faults or any(reward.passed < len(reward.outcomes) for reward in scored):
        if options.record:
            console.print("nothing was recorded")
        return 1
    if options.record:
        added = ", ".join(f"{source.file} version {source.version}" for source in versions.record(root, sources))
        console.print(f"recorded in {versions.FILE}: {added}" if added else f"nothing new to record in {versions.FILE}")
    elif any(reward.mark == versions.NEW for reward in scored):
        again = shlex.join(["python", "-m", "rlexp", "score", *options.overrides, "--record"])
        console.print(f"to record what is new in {versions.FILE}: {again}", markup=False)
    return 0


def show(console: Console, scored: list[Scored], faults: list[str]) -> None:
    """Prints a row a reward; below them every case that failed and every fault of a version."""
    table = Table(box=None, pad_edge=False)
    for column in ("reward", "version", "cases"):
        table.add_column(column)
    for reward in scored:
        total, colour = len(reward.outcomes), COLOURS[reward.mark]
        count = f"{reward.passed} of {total}" if total else "0 cases"
        table.add_row(
            reward.name,
            f"{reward.source.version} [{colour}]{reward.mark}[/]",
            count if reward.passed == total else f"[red]{count}[/]",
        )
    console.print(table)
    for reward in scored:
        for number, outcome in enumerate(reward.outcomes, start=1):
            if outcome.problem is not None:
                console.print(f"{reward.name}, case {number}: {outcome.shown} {outcome.problem}", markup=False)
    for fault in faults:
        console.print(fault, markup=False)


def _options(arguments: list[str]) -> Namespace:
    parser = Parser("score", "Runs the cases of the rewards, and guards the versions of their code.")
    parser.add_argument("overrides", nargs="*", help="reward=a+b and other overrides; without any, all of rewards/")
    parser.add_argument("--record", action="store_true", help=f"add versions that are new to {versions.FILE}")
    return parser.parse_intermixed_args(arguments)


def _rewards(root: Path, overrides: list[str]) -> list[tuple[str, RewardSource, dict[str, object]]]:
    """Name, source and composed parameters of every reward that is asked for."""
    if overrides:
        run = points(root / "conf", overrides, multirun=False)[0].run
        return [(name, source, run.reward.terms[name].params) for name, source in reward_sources(run, root).items()]
    files = sorted((root / "rewards").glob("*.py"))
    if not files:
        raise RunError("there is no reward file", where="rewards/", hint="README.md shows how to add a reward")
    return [(path.stem, reward_source.read(root, path.relative_to(root).as_posix()), {}) for path in files]
