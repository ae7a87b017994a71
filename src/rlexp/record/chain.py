"""A chain: a run, the run that it began with, and so on to the first; each as its folder tells it."""

from __future__ import annotations

from pathlib import Path

from rlexp.errors import RunError
from rlexp.inputs import start
from rlexp.inputs.start import KEPT
from rlexp.record import finished
from rlexp.record.finished import FinishedRun


def stages(run: FinishedRun) -> list[FinishedRun]:
    """The run and those before it, the last one first.

    Raises:
        RunError: an earlier one is not there, or does not hold the weights that the next began with.
    """
    found, root = [run], run.root
    while digest := found[-1].lock["inputs"].get("start"):
        name, later = digest["run"], found[-1].run_dir
        where = f"{later}: began with {name}"
        try:
            before = finished.open(name, root, root)
        except RunError as error:
            what = f"the run that it began with is not there: {error.what}"
            hint = f"put {name} back, or train the chain anew; a chain is pinned with every stage"
            raise RunError(what, where, hint) from error
        if before.lock["identity"] != digest["identity"] or not start.is_it(weights(before, digest["step"]), digest):
            what = f"{name} does not hold the weights that {later.name} began with: expected {digest['sha256'][:12]}"
            raise RunError(what, where, "train the chain anew, and pin that")
        found.append(before)
    return found


def weights(run: FinishedRun, step: int | None) -> Path:
    """The folder of the weights that the next stage began with."""
    if step is not None:
        return run.run_dir / "checkpoints" / f"checkpoint-{step}"
    return next((f for name in ("adapter", "model") if (f := run.run_dir / name).is_dir()), run.run_dir / "adapter")


def place(pinned: Path, depth: int) -> Path:
    """The folder of a stage below pinned/: each before it lies in ``start/``.

    Args:
        depth: 0 for the last stage.
    """
    return pinned.joinpath(*[KEPT] * depth)
