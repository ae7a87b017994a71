"""Training: the one way to it, from Python and from the command line."""

from __future__ import annotations

import os
from pathlib import Path

from rlexp.api import finished
from rlexp.api.composed import typed_of
from rlexp.api.place import alone, hidden_main, inside, own_logging, project_of, require_main
from rlexp.compare.differences import differences, lines
from rlexp.compose.points import CommandLine
from rlexp.compose.run import Run
from rlexp.errors import RunError
from rlexp.record import go_on
from rlexp.train import resume as going_on
from rlexp.train import session
from rlexp.train.jobs import run_jobs
from rlexp.train.ran import Ran


def train(run: Run) -> finished.FinishedRun:
    """Trains a run as ``python -m rlexp`` does: the same checks, lock, run folder and weights.

    Each call makes a new run folder. The overrides are composed once more, so that what the record says was typed is
    what is trained.

    Args:
        run: from ``compose`` or ``points``.

    Returns:
        The run in its new folder.

    Raises:
        RunError: it cannot be started, or failed by a user's mistake; the manifest says so too.
        Stopped: a health rule ended it.
        Failed: it ended in an error that nobody foresaw; the traceback is in the run folder.
    """
    require_main()
    typed = typed_of(run)
    with alone(), inside(typed.root), own_logging(), hidden_main():
        line = typed.line()
        (point,) = line.points()
        if changed := lines(differences(run.config(), point.run.config())):
            raise RunError(
                f"the project composes another run now: {'; '.join(changed)}",
                where="api.train",
                hint="compose it again: run = api.compose(...)",
            )
        train_line(line)
        return finished.open(point.run_dir, root=typed.root)


def resume(
    run: str | os.PathLike[str], *overrides: str, root: str | os.PathLike[str] | None = None
) -> finished.FinishedRun:
    """Goes on with a run that did not finish, in its own folder, as ``python -m rlexp resume=RUN`` does.

    Args:
        run: its folder.
        overrides: as typed on the command line; none may make another run of it.
        root: the project folder, or one within it; None for that of the working directory.

    Returns:
        The run in its folder.

    Raises:
        RunError: there is no such run, it finished or runs, or an input is not the locked one; or as ``train``.
    """
    require_main()
    here, place = Path.cwd(), project_of(root)
    folder = os.path.abspath(here / run) if (here / run).exists() else os.fspath(run)
    with alone(), inside(place), own_logging(), hidden_main():
        named = f"./{folder}" if folder == go_on.AUTO else folder
        ran = going_on.resume(CommandLine(place, [go_on.override(go_on.RESUME, named), *overrides]), here)
        assert ran is not None
        return finished.open(ran.folder, root=place)


def train_line(line: CommandLine) -> Ran:
    """Trains the run, or every point of the sweep, that a command line asks for.

    Returns:
        The folders of what was trained.

    Raises:
        RunError: as ``train``.
    """
    return run_jobs(line, session.train)
