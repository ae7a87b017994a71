"""The trainer's arguments as they were asked for and as they are held, every one of them with its reason.

Pure but for ``built``, which loads the model and builds the trainer of a run in a temporary folder.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from rlexp.build import server
from rlexp.build.arguments import ADJUSTED, differs, plain
from rlexp.build.engine import Engine
from rlexp.compose.methods import owner
from rlexp.compose.run import Run
from rlexp.inputs.check import Inputs


class Status(Enum):
    """How an argument came to the value that the trainer holds."""

    default = "default"
    """TRL's own, said aloud."""
    asked = "asked"
    """The experiment says it."""
    derived = "derived"
    """Another part of the composed tree decides it."""
    adjusted = "adjusted"
    """Held otherwise than asked, for a known reason that changes nothing of what is learned."""
    changed = "changed"
    """Held otherwise than asked: a run does not start with it."""


@dataclass(frozen=True)
class Argument:
    """One argument of the trainer's config class."""

    name: str
    asked: Any
    held: Any
    status: Status
    why: str


def table(run: Run, asked: dict[str, Any], held: Any) -> list[Argument]:
    """Every argument in the order of its name.

    Args:
        asked: the answer of ``arguments.requested``.
        held: ``trainer.args``.
    """
    return [_argument(run, name, asked[name], getattr(held, name, None)) for name in sorted(asked)]


def _argument(run: Run, name: str, wanted: Any, got: Any) -> Argument:
    asked, held = plain(wanted), plain(got)
    default = plain(run.method.all_arguments[name]["default"])
    if differs(wanted, got):
        known = name in ADJUSTED
        why = ADJUSTED.get(name, "Unsloth or TRL changed it")
        return Argument(name, asked, held, Status.adjusted if known else Status.changed, why)
    if asked == default and isinstance(asked, bool) is isinstance(default, bool):
        return Argument(name, asked, held, Status.default, "TRL's default")
    if name in run.arguments and plain(run.arguments[name]) == asked:
        return Argument(name, asked, held, Status.asked, f"method.{name}")
    return Argument(name, asked, held, Status.derived, owner(name) or "follows from other arguments")


def compact(arguments: list[Argument]) -> dict[str, dict[str, Any]]:
    """The table for the manifest, by status: name -> the value that is held; with asked and why where they say more.

    Without ``output_dir``, which is a path of this machine: a manifest can be committed.
    """
    found: dict[str, dict[str, Any]] = {status.value: {} for status in Status}
    for item in arguments:
        if item.name == "output_dir":
            continue
        short = item.status in (Status.default, Status.asked)
        whole = {"asked": item.asked, "held": item.held, "why": item.why}
        found[item.status.value][item.name] = item.held if short else whole
    return {status: items for status, items in found.items() if items}


def built(run: Run, inputs: Inputs) -> list[Argument]:
    """The table of a run's trainer: loads the model, builds the trainer, trains nothing and leaves nothing behind."""
    from rlexp.build import model as models  # imports unsloth before trl and transformers

    with (
        tempfile.TemporaryDirectory(prefix="rlexp-") as scratch,
        contextlib.ExitStack() as running,
        # A file, since vLLM redirects the descriptor itself.
        (Path(scratch) / "libraries.log").open("w") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        serving = running.enter_context(server.started(run, inputs.model, Path(scratch)))
        models.import_libraries(run)
        from rlexp.build import arguments, data
        from rlexp.build.methods import TRAINERS
        from rlexp.build.parts import Parts
        from rlexp.reward.rubric import Rubric, workers_for

        model, tokenizer = models.load(run, inputs.model)
        rows = data.load(run, inputs.data, "train", run.prompts_per_step)
        asked = arguments.requested(run, Path(scratch))
        with workers_for(run.reward, inputs.rewards, 0) as workers:
            rubric = Rubric(run.reward, inputs.rewards, workers)
            engine = running.enter_context(contextlib.closing(Engine(run, inputs.model)))
            if serving:
                serving.wait()
            parts = Parts(model, tokenizer, rows, None, rubric, asked, engine, run.off_policy_steps)
            trainer = TRAINERS[run.method.name](parts)
        return table(run, asked, trainer.args)
