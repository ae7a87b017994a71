"""The pass of a smoke: belongs to everything that makes a run safe to start, so that later runs need no smoke.

``.smoke/<settings>-<inputs>.json`` in the project folder: one hash of the settings, one of what they are applied to.
"""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rlexp import files
from rlexp.compose import compiling
from rlexp.compose.run import Run
from rlexp.compose.schema import When
from rlexp.inputs import mixture
from rlexp.inputs.digest import json_sha256
from rlexp.inputs.find import Inputs
from rlexp.inputs.hashes import inputs_digest
from rlexp.record.lock import versions
from rlexp.record.machine import processor

FOLDER = ".smoke"
FREE = ("seed", "held_out", "tracking", "health", "preflight", "max_minutes", "fork", "fork_sha256")
"""Parts of the config that make a run no less safe."""
UNCOMPILED_TOKENS = 15_000
"""Tokens that a smoke decodes one after the other up to which nothing compiled is quicker even where kernels are kept
(``compose.compiling``)."""
FREE_ARGUMENTS = ("logging_", "save_", "eval_", "log_", "max_steps", "num_train_epochs", "load_best_model_at_end")
"""Beginnings of the names of the method's arguments that only say how long it trains, and what is written."""


def settings(run: Run) -> dict[str, Any]:
    """The part of the config that a pass belongs to."""
    tree = {name: part for name, part in run.config().items() if name not in FREE}
    tree["rollout"] = {key: value for key, value in tree["rollout"].items() if key != "compiled"}  # by the run's length
    tree["method"] = {key: value for key, value in tree["method"].items() if not key.startswith(FREE_ARGUMENTS)}
    return tree


def settings_key(run: Run) -> str:
    """Sixteen hex digits that name the settings, the installed versions and the processor."""
    return json_sha256([settings(run), versions(), processor()])[:16]


def inputs_key(digest: dict[str, Any]) -> str:
    """Sixteen hex digits that name data, its pass rates where they are filtered by, rewards and base model by
    content.

    Args:
        digest: the answer of ``hashes.inputs_digest``.
    """
    model = {name: value for name, value in digest["model"].items() if name in ("md5", "revision")}
    data = [digest[name]["md5"] for name in ("data", "difficulty") if name in digest]
    return json_sha256([*data, {n: r["md5"] for n, r in digest["rewards"].items()}, model])[:16]


def path(run: Run, digest: dict[str, Any], root: Path) -> Path:
    """The file of the pass of these settings and inputs."""
    return root / FOLDER / f"{settings_key(run)}-{inputs_key(digest)}.json"


def read(file: Path) -> dict[str, Any] | None:
    """A pass; None where there is none, or it cannot be read."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and "passed" in content else None


def content(figures: dict[str, Any]) -> dict[str, Any]:
    """A pass of these figures, as of now."""
    return {"passed": datetime.now(UTC).isoformat(timespec="seconds"), **figures}


def write(file: Path, content: dict[str, Any]) -> None:
    """Leaves a pass, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(exist_ok=True)
    files.write_text(file, json.dumps(content, indent=1) + "\n")


def engine_for(run: Run) -> Run:
    """The run as its smoke loads it where nothing is trained afterwards: a vLLM in the process compiles nothing, where
    that would not pay and the run says nothing of it."""
    rollout = run.rollout
    tokens = run.preflight.smoke_steps * run.arguments.get("max_completion_length", 0)
    if not (rollout.in_process and rollout.compiled) or compiling.said(rollout) or tokens > UNCOMPILED_TOKENS:
        return run
    return dataclasses.replace(run, rollout=dataclasses.replace(rollout, compiled=False))


def no_longer(run: Run) -> bool:
    """Says whether the run is no longer than a smoke itself."""
    return 0 < run.arguments["max_steps"] <= run.preflight.smoke_steps


def due(run: Run, found: dict[str, Any] | None) -> bool:
    """Says whether the smoke steps run in front of a run.

    Args:
        found: its pass, if it has one.
    """
    if run.preflight.smoke is When.auto:
        return found is None and not no_longer(run)
    return run.preflight.smoke is When.always


def found(run: Run, inputs: Inputs, root: Path) -> dict[str, Any] | None:
    """The pass of a run, if it has one. Inputs are hashed only where a pass of these settings exists."""
    there = inputs.description and not inputs.model_prepare
    if there and any((root / FOLDER).glob(f"{settings_key(run)}-*.json")):
        return read(path(run, inputs_digest(run, inputs), root))
    return None


def describe(run: Run, inputs: Inputs, root: Path) -> str:
    """The smoke in one line, for ``plan``."""
    if run.preflight.smoke is When.never:
        return "never"
    steps = f"{run.preflight.smoke_steps} steps first"
    passed = found(run, inputs, root)
    if passed is None:
        short = run.preflight.smoke is When.auto and no_longer(run)
        return "none: the run is no longer than a smoke" if short else f"not yet: {steps}"
    again = f"; again: {steps}" if run.preflight.smoke is When.always else ""
    return f"passed {passed['passed'][:10]}, {costs(passed, run, rows(run, inputs))}{again}"


def rows(run: Run, inputs: Inputs) -> int:
    """Rows of the train split that are trained on, of a mixture as its weights count them; 0 while there is no
    snapshot."""
    return mixture.train_rows(run.dataset, inputs.description, inputs.filtered) if inputs.description else 0


def steps_of(run: Run, rows: int) -> int:
    """Optimizer steps of the whole run.

    Args:
        rows: of the train split.

    Source: ``Trainer.set_initial_training_values``, and TRL's ``RepeatSampler``, which leaves an incomplete step out.
    """
    if run.arguments["max_steps"] > 0:
        return run.arguments["max_steps"]
    rows = min(rows, run.dataset.train_rows or rows)
    if run.method.online:
        a_pass = rows // run.prompts_per_step * run.arguments["num_iterations"]
    else:
        micro = -(-rows // (run.geometry.per_device_train_batch_size * run.geometry.devices))
        a_pass = -(-micro // run.geometry.gradient_accumulation_steps)
    return math.ceil(max(1, a_pass) * run.arguments["num_train_epochs"])


def costs(figures: dict[str, Any], run: Run, rows: int) -> str:
    """The time of a step, and of the whole run of that many steps: ``0.43 s a step, peak 1.2 GiB, 60 steps about 26
    s``.

    A smoke whose vLLM compiled nothing knows only what it takes at most.
    """
    steps = steps_of(run, rows)
    whole = duration(steps * figures["step_s"])
    peak = f"{figures['peak_bytes'] / 2**30:.1f} GiB{' of memory on the device' if figures['on_device'] else ''}"
    begun = duration(figures["startup_s"])
    most = "at most " if figures.get("uncompiled") else ""
    return f"{most}{figures['step_s']:.2g} s a step, peak {peak}, {steps} steps about {whole} after {begun} of start-up"


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``26 s``, ``12 min``, ``3.5 h``."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
