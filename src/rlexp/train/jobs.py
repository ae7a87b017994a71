"""Hands a command line to Hydra, which makes the run folders, and does the work of a verb in each."""

from __future__ import annotations

import functools
from collections.abc import Callable

from rlexp.compose.points import CommandLine
from rlexp.train import folders
from rlexp.train.guards import require_one_process
from rlexp.train.job import Job
from rlexp.train.launch import launch
from rlexp.train.one_job import make_ready, one_job
from rlexp.train.ran import Ran
from rlexp.train.sweeping import sweep


def run_jobs(line: CommandLine, work: Callable[[Job], None]) -> Ran:
    """Checks every point, makes missing inputs, then lets Hydra run exactly these points.

    Args:
        line: the command line; where its sweeper makes the points as it goes, each is checked when its turn comes.
        work: what is done with every point, such as ``session.train``.

    Raises:
        RunError: a point is not possible, or the only run failed. What points of a sweep failed of, their records say.
    """
    require_one_process()
    if line.sweeps:
        return sweep.run(line, work)
    (point,) = line.points()
    with folders.claimed(line, [point]) as folder:
        make_ready(point.run, line.root, folder)
        failure = launch(line, functools.partial(one_job, work, True, line.over))
    if failure:
        raise failure
    return Ran(folder)
