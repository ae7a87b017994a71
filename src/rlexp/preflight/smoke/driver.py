"""Decides whether the smoke steps go in front of a run, has them taken, and leaves their pass and their record."""

from __future__ import annotations

from rlexp.backend import ranks
from rlexp.backend.loaded import Loaded
from rlexp.compose.schema import When
from rlexp.console import RunConsole
from rlexp.preflight.smoke import passes
from rlexp.record.run_folder import Record


def smoke_if_due(loaded: Loaded, record: Record, console: RunConsole) -> None:
    """Takes the smoke steps in front of a run, unless the run asks for none or they passed before."""
    from rlexp.preflight.smoke import steps

    found = passes.read(passes.path(loaded.run, loaded.digest, record.root))
    if found and found["device"] != steps.device():
        found = None
    if ranks.current().from_first(lambda: passes.due(loaded.run, found)):
        smoke(loaded, record, console)
    elif found and loaded.run.preflight.smoke is When.auto:
        record.content["smoke"] = found


def smoke(loaded: Loaded, record: Record, console: RunConsole, uncompiled: bool = False) -> None:
    """Takes the smoke steps, whether they passed before or not.

    Args:
        uncompiled: the engine compiled nothing for them (``passes.engine_for``), so that they were slower than a run.

    Raises:
        RunError: a check of what they showed failed.
    """
    from rlexp.preflight.smoke import steps

    run = loaded.run
    figures = steps.take(loaded, record.run_dir, record.content["timings_s"]["loaded"], console)
    if uncompiled:
        figures["uncompiled"] = True
    record.content["smoke"] = kept = passes.content(figures)
    try:
        if ranks.current().number == 0:
            passes.write(passes.path(run, loaded.digest, record.root), kept)
    except OSError as error:  # a pass that is lost costs the next run its steps, and this one nothing
        console.warn(
            f"the pass cannot be kept in {passes.FOLDER}/ ({error.strerror}): the next run takes the steps again"
        )
    record.mark("smoked")
    console.print(f"smoke passed: {steps.describe(figures)}")
    console.print(f"              {passes.costs(figures, run, len(loaded.rows))}")
