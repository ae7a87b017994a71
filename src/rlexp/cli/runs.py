"""``runs``: lists the runs of outputs/ and multirun/, filtered and sorted by what they were asked and what came out."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime
from pathlib import Path

from rlexp import project
from rlexp.cli import tag
from rlexp.cli.answer import Answer
from rlexp.cli.arguments import Parser
from rlexp.console import shortened, show_table
from rlexp.errors import RunError, nearest, printable
from rlexp.record import finished, go_on
from rlexp.record.listed import CHOICES, COLUMNS, SAID, RunRow, read, reward_names, to_json
from rlexp.record.select import parse, select, values

TYPED, REASON = 48, 40
"""Characters in the table of what was typed, and of why a run failed; --json holds them whole."""


def command(arguments: list[str], here: Path) -> Answer:
    """``runs [FILTER ...] [--sort KEY] [--reverse] [--limit N] [--json]``: a line a run; ``runs tag``: ``cli.tag``.

    Raises:
        RunError: a filter or --sort names a key that no run has, or compares what cannot be compared.
    """
    if arguments[:1] == [tag.WORD]:
        return tag.command(arguments[1:], here)
    meant = nearest(arguments[0], [tag.WORD]) if len(arguments) > 1 else None  # runs tga RUN --add TAG
    try:
        options = _options(arguments)
    except RunError as error:
        if not meant:
            raise
        raise RunError(error.what, error.where, f"did you mean runs {meant}? {error.hint}") from error
    root = project.root()
    runs = [read(folder, root) for folder in finished.run_folders(root)]
    filters = [parse(text) for text in options.filter]
    kept = select(runs, filters, options.sort, options.reverse, options.limit)
    return Answer(lambda: [to_json(run) for run in kept], lambda: show(runs, kept, options.filter, meant))


def show(runs: list[RunRow], kept: list[RunRow], typed: list[str], meant: str | None = None) -> None:
    """Prints a line for each run that was kept; where none is, what the filters that were typed were held against.

    Args:
        meant: what the first of them may have been meant for.
    """
    if not runs:
        print(f"no run yet in {' or '.join(f'{name}/' for name in finished.FOLDERS)}; train one: python -m rlexp")
    elif not kept:
        print(f"none of {_count(len(runs))} matches: {' '.join(typed)}")
        for line in values(runs, [parse(text) for text in typed]):
            print(printable(line))
        if meant:
            print(printable(f"did you mean: {go_on.line('runs', meant, *typed[1:])}"))
    else:
        rewards = reward_names(runs)
        cells = [dict(zip(COLUMNS, _cells(run, rewards[run.folder]), strict=True)) for run in kept]
        said = [name for name in COLUMNS if name not in SAID or any(row[name] for row in cells)]
        show_table(said, [[row[name] for name in said] for row in cells], folded=("folder", "typed", "note"))
        print(f"\n{len(kept)} of {_count(len(runs))}" if len(kept) < len(runs) else f"\n{_count(len(runs))}")


def _options(arguments: list[str]) -> Namespace:
    parser = Parser(
        "runs",
        "Lists the runs of this project, the newest first; runs tag RUN says something of one (runs tag --help).",
    )
    parser.add_argument(
        "filter",
        metavar="FILTER",
        nargs="*",
        help=f"part of a folder's name, or a condition on a column ({', '.join(COLUMNS)}) or on a key of the locked "
        "config: status=failed, method.beta=0.04, 'metric>1.5', 'duration<60', 'started>=2026-11-23', tag=baseline, "
        "note~word; the signs are = != > < >= <= and ~ (holds the text), and all conditions must hold",
    )
    parser.add_argument("--sort", metavar="KEY", help="a column or a key of the locked config, smallest first")
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument("--limit", metavar="N", type=int, help="only the first N")
    options = parser.parse_intermixed_args(arguments)
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit is {options.limit}; at least 1")
    return options


def _count(number: int) -> str:
    return f"{number} run{'' if number == 1 else 's'}"


def _cells(run: RunRow, reward: str) -> tuple[str, ...]:
    """The row of a run, a cell a column."""
    names = {**run.names, "reward": reward}
    done = f" {run.steps[0]}/{run.steps[1]}" if run.steps and run.status != "finished" else ""
    why = f": {shortened(str(run.reason), REASON)}" if run.reason else ""
    return (
        run.folder,
        f"{datetime.fromtimestamp(run.started):%Y-%m-%d %H:%M}" if run.started else "",
        run.status + done + why,
        *(str(names.get(name, "")) for name in CHOICES),
        shortened(" ".join(_brief(override) for override in run.typed), TYPED),
        f"{run.metric[0]} {run.metric[1]:.3f} -> {run.metric[2]:.3f}" if run.metric else "",
        _time(run.duration),
        ", ".join(run.notes.tags),
        run.notes.owner,
        shortened(run.notes.note, TYPED),
    )


def _brief(override: str) -> str:
    """An override as a person says it: ``beta=0.04`` is the method's, ``correct.weight=2`` the reward's."""
    return override.removeprefix("method.").removeprefix("reward.terms.")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
