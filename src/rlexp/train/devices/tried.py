"""What was trained on several GPUs: a run that was not is refused before it starts, and says what was.

A run on a GPU differs from one on a CPU in what the libraries do with it: who averages the gradients, where an engine
lives, what is rewritten. So each way to train is shown by a run on two GPUs (perf/ddp_gpu.py) before it is opened here.
"""

from __future__ import annotations

from dataclasses import dataclass

from rlexp.compose.run import Run
from rlexp.compose.schema import Device, Dtype
from rlexp.errors import RunError
from rlexp.verdict import Level, Verdict


@dataclass(frozen=True)
class Way:
    """A way to train, as far as the libraries tell one from another."""

    method: str
    rollout: str
    """The option; ``generate`` where the method samples no completions."""
    loader: str
    weights: str = "adapter"
    """``adapter``, ``4 bit`` (an adapter on a base in 4 bit) or ``all``."""


TRIED: frozenset[Way] = frozenset()
"""Each was trained on two GPUs as on one; perf/results says when."""


def way(run: Run) -> Way:
    """The way that a run is trained."""
    weights = "all" if run.model.full_finetuning else "4 bit" if run.model.load_in_4bit else "adapter"
    return Way(run.method.name, run.rollout.name, run.rollout.loader.name, weights)


def require(run: Run) -> None:
    """Refuses a run over several GPUs that is trained in a way which was never tried there.

    Raises:
        RunError: it is; the hint says what to type.
    """
    if error := _refusal(run):
        raise error


def verdict(run: Run) -> Verdict:
    """The same as a warning: what ``plan`` says of a run that cannot be started yet."""
    name = "devices.tried"
    if run.hardware.devices == 1 or run.hardware.device is Device.cpu:
        return Verdict(name, Level.skipped, "of several GPUs only")
    if error := _refusal(run):
        return Verdict(name, Level.warning, error.what, error.where, error.hint)
    return Verdict(name, Level.passed, "this way to train was tried on several GPUs")


def _refusal(run: Run) -> RunError | None:
    asked = way(run)
    if asked in TRIED and run.hardware.dtype is Dtype.bfloat16:
        return None
    alone = "hardware.devices=1: the optimisation problem stays the same, and points of a sweep go over all GPUs"
    if not TRIED:
        return RunError(
            "a run over several GPUs is planned (plan shows its geometry), but was never tried: it cannot be started",
            where="hardware.devices",
            hint=f"type {alone}",
        )
    other = sorted(one.rollout for one in TRIED if (one.method, one.weights) == (asked.method, asked.weights))
    instead = f"rollout={other[0]}, or " if other and asked.rollout not in other else ""
    shown = f"{asked.method}, rollout={asked.rollout} with {asked.loader}'s model, {_weights(run, asked)}"
    return RunError(f"{shown}: never tried on several GPUs", where="hardware.devices", hint=f"type {instead}{alone}")


def _weights(run: Run, asked: Way) -> str:
    trained = {"adapter": "an adapter", "4 bit": "an adapter on 4 bit", "all": "every weight"}[asked.weights]
    return trained if run.hardware.dtype is Dtype.bfloat16 else f"{trained}, {run.hardware.dtype.name}"
