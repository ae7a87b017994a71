"""Scores the stored completions of a run again: what would another version of a reward have said?"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from rlexp.compose.places import Places
from rlexp.compose.run import Run
from rlexp.console import shortened, show_table
from rlexp.errors import RunError
from rlexp.inputs import reward_source, snapshot
from rlexp.inputs.reward_rows import met_snapshot
from rlexp.inputs.reward_source import RewardSource
from rlexp.record.finished import FinishedRun
from rlexp.record.run_folder import SOURCES
from rlexp.reward.rubric import READ, Rubric, workers_for

CHANGED = 1e-6
EXAMPLES = 3


@dataclass(frozen=True)
class Comparison:
    """The scores of one term, before and now."""

    name: str
    before: list[float | None]
    now: list[float | None]
    groups: list[tuple[int, int]]
    """(step, group) of every completion."""

    @property
    def changed(self) -> list[int]:
        """The completions whose score is another one."""
        pairs = enumerate(zip(self.before, self.now, strict=True))
        return [n for n, (a, b) in pairs if (a is None) != (b is None) or abs((a or 0) - (b or 0)) > CHANGED]

    @property
    def up(self) -> int:
        """The number of completions that got more; one that did not apply before counts as 0."""
        return sum((self.now[n] or 0) > (self.before[n] or 0) for n in self.changed)

    @property
    def means(self) -> tuple[float | None, float | None]:
        """The mean scores before and now, over the completions that have one."""
        before, now = ([score for score in scores if score is not None] for scores in (self.before, self.now))
        return (statistics.fmean(before) if before else None, statistics.fmean(now) if now else None)

    @property
    def correlation(self) -> float | None:
        """Spearman's rank correlation inside groups, their mean; None where no group has an order on both sides."""
        members: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for place, a, b in zip(self.groups, self.before, self.now, strict=True):
            if a is not None and b is not None:
                members.setdefault(place, []).append((a, b))
        found = [value for pairs in members.values() if (value := spearman(pairs)) is not None]
        return statistics.fmean(found) if found else None


def spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """The rank correlation of two orders, ties at their mean rank; None where one of them has no order."""
    ranked = [_ranks([pair[side] for pair in pairs]) for side in (0, 1)]
    try:
        return statistics.correlation(*ranked)
    except statistics.StatisticsError:
        return None


def _ranks(values: Sequence[float]) -> list[float]:
    return [sum(other < value for other in values) + sum(other == value for other in values) / 2 for value in values]


@dataclass(frozen=True)
class Rescored:
    """The stored completions of a run, scored again. A changed score is a finding and no failure."""

    run_dir: Path
    against: str | None
    kept: dict[str, list[Any]]
    """Every stored completion, column by column."""
    terms: list[Comparison]
    versions: dict[str, str]
    """Term -> how its code stands to the locked one."""

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values, with every completion whose score changed."""
        return {
            "run_dir": os.path.relpath(self.run_dir),
            "against": self.against,
            "completions": len(self.kept["completion"]),
            "terms": {term.name: self._term(term) for term in self.terms},
        }

    def _term(self, term: Comparison) -> dict[str, Any]:
        changed = [
            {
                "step": self.kept["step"][number],
                "group": self.kept["group"][number],
                "completion": self.kept["completion"][number],
                "before": term.before[number],
                "now": term.now[number],
            }
            for number in term.changed
        ]
        means = dict(zip(("before", "now"), term.means, strict=True))
        return {
            "code": self.versions[term.name],
            "up": term.up,
            "down": len(changed) - term.up,
            "mean": means,
            "rank_correlation": term.correlation,
            "changed": changed,
        }

    def show(self, console: Console) -> None:
        """Prints a row for each term, and examples of what changed."""
        console.print(
            f"{len(self.kept['completion'])} completions of {self.run_dir}, {self.against or 'as stored'} -> now"
        )
        rows = [(*_row(term), self.versions[term.name]) for term in self.terms]
        show_table(("term", "changed", "up", "down", "mean", "rank correlation in groups", "code"), rows)
        for term in self.terms:
            for number in term.changed[:EXAMPLES]:
                text = shortened(self.kept["completion"][number], 100)
                scores = f"{term.before[number]} -> {term.now[number]}"
                console.print(f"{term.name} {scores}  step {self.kept['step'][number]}  {text}", markup=False)


def rescore(finished: FinishedRun, against: str | None, here: Path) -> Rescored:
    """Compares the stored scores of a run with what the rewards say now.

    Args:
        finished: the run.
        against: a git revision or another run whose reward sources are compared with the present ones; None compares
            with the stored scores.

    Raises:
        RunError: there is no such run or revision, or the run kept no completions.
    """
    run, root = finished.run, finished.root
    kept = finished.completions(finished.completion_steps())
    present = [Places.of(root).path(term.file).is_file() for term in run.reward.terms.values()]
    now = finished.trusted(root) if all(present) else finished.reward_sources()  # of a shared folder that is gone
    with tempfile.TemporaryDirectory() as scratch:
        older = _sources(finished, against, here, Path(scratch)) if against else {}
        before = _scores(run, root, older, kept) if against else kept
    after = _scores(run, root, now, kept)
    groups = list(zip(kept["step"], kept["group"], strict=True))
    found = [Comparison(name, before[name], after[name], groups) for name in run.reward.terms]
    versions = {name: _versions(finished, name, now) for name in run.reward.terms}
    return Rescored(finished.run_dir, against, kept, found, versions)


def _row(comparison: Comparison) -> tuple[str, ...]:
    changed, correlation = len(comparison.changed), comparison.correlation
    mean = " -> ".join("-" if mean is None else f"{mean:.3f}" for mean in comparison.means)
    counts = (str(changed), str(comparison.up), str(changed - comparison.up))
    return comparison.name, *counts, mean, "-" if correlation is None else f"{correlation:.3f}"


def _versions(finished: FinishedRun, name: str, now: dict[str, RewardSource]) -> str:
    locked = finished.lock["inputs"]["rewards"][name]
    same = locked["md5"] == now[name].md5
    return "as locked" if same else f"v{locked['version']} {locked['md5'][:8]} -> v{now[name].version}"


def _scores(
    run: Run, root: Path, sources: dict[str, RewardSource], kept: dict[str, list[Any]]
) -> dict[str, list[float | None]]:
    columns = {name.removeprefix(READ): values for name, values in kept.items() if name.startswith(READ)}
    for name, source in sources.items():
        absent = [read for read in source.columns if read not in columns]
        if absent:
            raise RunError(
                f"the reward {name} reads {absent[0]}, which the run did not store with its completions",
                where=f"{source.file}: score()",
                hint=f"stored: {', '.join(columns) or 'nothing'}",
            )
    # Stored prompts are texts, whatever the rows were: the form follows the rows.
    described = snapshot.describe(root / run.dataset.path) or {"columns": {"prompt": "not here"}}
    sources = {name: met_snapshot(source, described) for name, source in sources.items()}
    with workers_for(run.reward, sources, run.hardware.reward_workers) as workers:
        rubric = Rubric(run.reward, sources, workers)
        return rubric.score(kept["completion"], kept["prompt"], columns, run.num_generations).scores


def _sources(finished: FinishedRun, against: str, here: Path, scratch: Path) -> dict[str, RewardSource]:
    """The reward files of a git revision, or those that another run kept."""
    root, files = finished.root, {name: term.file for name, term in finished.run.reward.terms.items()}
    for folder in (here / against / SOURCES, root / against / SOURCES):
        if folder.is_dir():
            return finished.trusted(folder, kept=True)
    return {name: _of_revision(against, file, root, scratch) for name, file in files.items()}


def _of_revision(revision: str, file: str, root: Path, folder: Path) -> RewardSource:
    done = subprocess.run(["git", "-C", str(root), "show", f"{revision}:./{file}"], capture_output=True)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RunError(
            f"the revision {revision} holds no {file}: {lines[-1] if lines else 'git said nothing'}",
            where=f"against={revision}",
            hint="name a git revision (HEAD, a tag, a commit), or a run folder",
        )
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(done.stdout)
    return reward_source.read(folder, file)
