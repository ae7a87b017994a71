"""One point of a sweep: what the launcher has done in the folder that Hydra made, which may be in another process."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rlexp import project
from rlexp.backend.warm import KEPT
from rlexp.compose.points import CommandLine
from rlexp.errors import RunError
from rlexp.record import go_on
from rlexp.record.run_folder import main_metric, read_manifest
from rlexp.train import resume
from rlexp.train.job import Job
from rlexp.train.one_job import Over, one_job

FAULT = "fault"
"""What a point returns that ended in an error which nobody foresaw: its process is not to be trusted."""
ANOTHER = "another process"
"""What it returns where this process holds what it must not meet."""


def run(
    work: Callable[[Job], None], checked: bool, over: Over | None, begun: Collection[str], cfg: DictConfig
) -> str | float | None:
    """Does the work of a point; what it failed of, its record says.

    Args:
        checked: it was made ready before; else its sweeper makes the points by what came out.
        begun: the folders of points that go on from a checkpoint of their own.

    Returns:
        FAULT, ANOTHER, or nothing; to such a sweeper the main held-out number.

    Raises:
        RunError: to such a sweeper, what the point failed of.
    """
    folder, warm = Path(HydraConfig.get().runtime.output_dir), KEPT.get()
    if warm and not warm.takes(str(cfg.rollout.loader)):
        return ANOTHER
    if str(folder) not in begun:
        failure = one_job(work, checked, over, cfg)
    else:
        if warm:
            warm.drop()
        root = project.root()
        line = CommandLine(root, [go_on.override(go_on.RESUME, go_on.place(folder, root))])
        failure = _gone_on(line, root)
    if checked:
        return FAULT if unforeseen(failure) else None
    if failure:
        raise failure
    main = main_metric(read_manifest(folder) or {})
    return main[1]["after"] if main else None


def unforeseen(returned: Any) -> bool:
    """Whether what a point returned, or failed of, is an error that nobody foresaw."""
    known = isinstance(returned, RunError) and returned.exit_code == 2
    return returned == FAULT or (isinstance(returned, Exception) and not known)


def _gone_on(line: CommandLine, root: Path) -> Exception | None:
    try:
        resume.resume(line, root)
    except Exception as error:
        return error
    return None
