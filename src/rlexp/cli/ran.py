"""The answer of the verbs that run jobs, as JSON: what a run folder says of its run, and a sweep of its points."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from rlexp.cli.answer import FORMAT, Answer
from rlexp.compare import sweep
from rlexp.errors import printable
from rlexp.record import metrics, status
from rlexp.record.run_folder import HEALTH, main_metric, read_manifest
from rlexp.train.ran import Ran
from rlexp.verdict import Level

KEPT = ("selection", "start", "step_time_s", "memory_gib", "smoke", "timings_s", "warm")
"""Keys of the manifest that are answered as they are."""


def of_jobs(ran: Ran, root: Path) -> Answer:
    """The answer of a run, or of a sweep: exit code 1 when a point of it did not finish."""
    points = ran.points
    if points is None:
        return Answer(lambda: {"format": FORMAT, **of_run(ran.folder, root)})
    content = {
        "format": FORMAT,
        "sweep_dir": os.path.relpath(ran.folder, root),
        "impossible": [dataclasses.asdict(one) for one in ran.impossible],
        **({"ended": ran.ended} if ran.ended else {}),
    }

    def show() -> None:
        sweep.show(ran.folder, points)
        for one in ran.impossible:
            print(printable(f"left out: {' '.join(one.overrides)}: {one.reason}"))
        if ran.ended:
            print(printable(ran.ended))

    return Answer(
        lambda: {**content, "points": [{"varied": p.varied, **of_run(p.run_dir, root, point=True)} for p in points]},
        show,
        ran.exit_code,
    )


def of_run(run_dir: Path, root: Path, point: bool = False) -> dict[str, Any]:
    """A run as JSON values.

    Args:
        point: of a sweep, which tells a broken record among others.

    Raises:
        RunError: its record is damaged.
    """
    manifest = sweep.manifest_of(run_dir) if point else read_manifest(run_dir)
    content: dict[str, Any] = {"run_dir": os.path.relpath(run_dir, root)}
    if manifest is None:
        return {**content, "status": sweep.NOT_BEGUN}
    stands, reason = status.of(manifest)
    main = main_metric(manifest)
    weights = next((run_dir / name for name in ("adapter", "model") if (run_dir / name).is_dir()), None)
    return {
        **content,
        "identity": manifest.get("identity"),
        "status": stands,
        **({"reason": reason} if reason else {}),
        **manifest.get("choices", {}),
        "overrides": manifest.get("overrides", []),
        "steps": max((entry.get("step", 0) for entry in metrics.entries(run_dir)), default=0),
        **({"steps_asked": asked} if (asked := manifest.get("steps", {}).get("asked")) else {}),
        **({"fork": manifest["fork"]} if "fork" in manifest else {}),
        "metric": {"name": main[0], **main[1]} if main else None,
        "held_out": manifest.get("held_out", {}),
        "weights": os.path.relpath(weights, root) if weights else None,
        "health": manifest.get("health", {}),
        "warnings": warnings(run_dir, manifest),
        **{name: manifest[name] for name in KEPT if name in manifest},
    }


def warnings(run_dir: Path, manifest: dict[str, Any]) -> list[dict[str, str]]:
    """What the checks, the health rules and the end of a run warned of: ``name`` and what was ``said``."""
    found = [
        {"name": verdict["name"], "said": verdict["said"]}
        for verdict in manifest.get("preflight", [])
        if verdict["level"] == Level.warning.value
    ]
    lines = (run_dir / HEALTH).read_text().splitlines() if (run_dir / HEALTH).is_file() else []
    for finding in map(json.loads, lines):
        found.append({"name": f"health.{finding['rule']}", "said": f"{finding['said']} (step {finding['step']})"})
    for name in manifest.get("inputs_changed", []):
        found.append({"name": "inputs.changed", "said": f"{name} changed while the run went on"})
    scores = manifest.get("reward_scores", {})
    if failed := scores.get("failed"):
        said = f"{failed} of {scores['asked']} scores failed, and were left out"
        found.append({"name": "reward.failed", "said": said})
    return found
