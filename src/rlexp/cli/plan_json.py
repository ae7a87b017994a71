"""The answer of ``plan`` as JSON values (``--json``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp.cli import plan_data, typed_ids
from rlexp.cli.answer import FORMAT, Answer
from rlexp.compose import largest
from rlexp.compose.points import Point
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.console import show_table
from rlexp.inputs import start
from rlexp.inputs.difficulty import path
from rlexp.inputs.find import Inputs
from rlexp.preflight import difficulty
from rlexp.preflight.memory import fits
from rlexp.preflight.smoke import passes
from rlexp.record.lock import identity
from rlexp.train.devices import tried
from rlexp.verdict import Level


def to_json(point: Point, inputs: Inputs, root: Path) -> dict[str, Any]:
    """What a point would be: its parts, and the whole composed tree as ``config``."""
    run, geometry = point.run, point.run.geometry
    rows = {name: split["rows"] for name, split in inputs.description["splits"].items()} if inputs.description else None
    return {
        "identity": identity(run),
        "overrides": point.overrides,
        "seed": run.seed,
        "model": {
            "name": run.model.name,
            "path": run.model.path,
            "hub_id": run.model.hub_id,
            "revision": run.model.revision,
            "full_finetuning": run.model.full_finetuning,
            "lora_r": None if run.model.full_finetuning else run.model.lora.r,
            "max_seq_length": run.model.max_seq_length,
            "made_by": _script(inputs.model_prepare),
            "start": start.manifest(inputs.start.digest) if inputs.start else None,
        },
        "method": {
            "name": run.method.name,
            "steps": passes.steps_of(run, passes.rows(run, inputs)) if rows or run.arguments["max_steps"] > 0 else None,
            "changed_arguments": changed_arguments(run),
        },
        "dataset": {
            "name": run.dataset.name,
            "type": run.dataset.type.name,
            "path": run.dataset.path,
            "rows": rows,
            "made_by": _script(inputs.data_prepare),
            "parts": plan_data.parts(run, inputs),
            "recognised": plan_data.recognised(inputs),
            "difficulty": _difficulty(run, inputs),
        },
        "rewards": {
            name: {
                "file": source.file,
                "version": source.version,
                "weight": run.reward.terms[name].weight,
                "reads": list(source.reads),
            }
            for name, source in inputs.rewards.items()
        },
        "hardware": {
            "name": run.hardware.name,
            "device": run.hardware.device.name,
            "dtype": run.hardware.dtype.name,
            "memory_gib": run.hardware.memory_gib,
            "rollout_devices": run.hardware.rollout_devices,
        },
        "rollout": {"name": run.rollout.name, "why": run.rollout.why},
        "step": {
            "prompts": run.prompts_per_step,
            "num_generations": run.num_generations,
            "sequences": geometry.sequences_per_step,
            "devices": geometry.devices,
            "per_device_train_batch_size": geometry.per_device_train_batch_size,
            "gradient_accumulation_steps": geometry.gradient_accumulation_steps,
        },
        "memory_gib": run.memory.gib() if run.memory else None,
        "largest": _largest(run),
        "by_id": dict(typed_ids.rows(point, root)),
        "smoke": passes.describe(run, inputs, root),
        "warnings": [
            {"name": seen.name, "said": seen.message, "hint": seen.hint}
            for seen in (tried.verdict(run), fits(run), difficulty.verdict(run, inputs))
            if seen.level is Level.warning
        ],
        "config": run.config(),
    }


def _largest(run: Run) -> dict[str, Any] | None:
    """The largest geometry that fits the device; None on a CPU, or where the model's shape is not known."""
    found = largest.of(run) if run.hardware.device is not Device.cpu else None
    if found is None:
        return None
    return {
        "micro_batch": found.plain,
        "micro_batch_recomputed": found.recomputed,
        "prompts": found.prompts,
        "tokens": found.tokens,
        "overrides": list(found.overrides),
    }


def _difficulty(run: Run, inputs: Inputs) -> dict[str, Any] | None:
    """The rows that are kept by their pass rate; None where nothing is filtered."""
    found, bounds = inputs.filtered, run.dataset.difficulty
    if found is None or bounds is None:
        return None
    about = {"model": found.description["model"]["name"], "n": found.description["n"]}
    kept = {"kept": len(found.kept), "rows": found.rows, "unknown": found.unknown}
    return {"path": path(run), "low": bounds[0], "high": bounds[1], **kept, **about}


def changed_arguments(run: Run) -> dict[str, Any]:
    """The arguments that differ from TRL's own defaults."""
    defaults = run.method.arguments
    return {name: value for name, value in run.arguments.items() if value != defaults[name]["default"]}


def effective(run: Run, inputs: Inputs, everything: bool) -> Answer:
    """The trainer's arguments as asked and as held: those that are not TRL's defaults, or all of them.

    The exit code is 1 when one is held otherwise than asked, for no known reason.
    """
    from rlexp.backend.trainers.dry_build import built
    from rlexp.backend.trainers.effective import Status

    arguments = built(run, inputs)
    shown = [item for item in arguments if everything or item.status is not Status.default]

    def content() -> dict[str, Any]:
        names = ("name", "asked", "held", "status", "why")
        rows = [(i.name, _plain(i.requested), _plain(i.effective), i.status.value, i.why) for i in shown]
        return {"format": FORMAT, "arguments": [dict(zip(names, row, strict=True)) for row in rows]}

    def show() -> None:
        rows = [[i.name, str(i.requested), str(i.effective), i.status.value, i.why] for i in shown]
        show_table(("argument", "asked", "held", "status", "why"), rows, folded=("asked", "held", "why"))
        if not everything:
            print(f"{len(arguments) - len(shown)} others are held at TRL's defaults: --all shows them")

    return Answer(content, show, int(any(item.status is Status.changed for item in arguments)))


def _plain(value: Any) -> Any:
    """The value where JSON has its like, else its text."""
    return value if value is None or isinstance(value, bool | int | float | str | list | dict) else str(value)


def _script(script: Path | None) -> str | None:
    return f"data_prep/{script.name}" if script else None
