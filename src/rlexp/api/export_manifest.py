"""What the manifest of an export tells: of each artifact what it is, what the gate measured, and the verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlexp.compose.exports import FIRST
from rlexp.export.gate import verdict
from rlexp.record import exports
from rlexp.record.exports import Artifact


def manifest(
    made: Sequence[Artifact],
    found: dict[str, Any],
    scored: dict[str, dict[str, Any]],
    shown: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """What the export's manifest says."""
    artifacts, copied = {}, None
    for one in made:
        judged = verdict.judge(found[one.name], found[one.name]["baselines"], scored.get(one.name), copied)
        if one.name == FIRST and judged.verdict != "broken":
            copied = found[one.name]
        artifacts[one.name] = {
            **{key: one.content[key] for key in exports.TOLD},
            "files": one.content["files"],
            "modelfile": one.modelfile,
            "bytes": one.size,
            "verdict": judged.verdict,
            "reasons": judged.reasons,
            "gate": found[one.name],
            "task": scored.get(one.name),
            "snippet": shown.get(one.name),
        }
    prompt = next((one["prompt"] for one in found.values() if "prompt" in one), None)
    return {"format": exports.FORMAT, "of": made[0].content["of"], "prompt": prompt, "artifacts": artifacts}


def rows_kept(
    folder: Path, told: Mapping[str, Any], made: Sequence[Artifact], say: Callable[[str], None]
) -> dict[str, Any]:
    """What the manifest told of artifacts that lie there still, of the same weights, and were not asked for now."""
    rows, now = {}, {one.name for one in made}
    for name, row in told.items():
        if name in now:
            continue
        there = exports.read(folder / name)
        if there and there.content["of"] == made[0].content["of"] and there.content["files"] == row["files"]:
            rows[name] = row
        elif there:
            place = os.path.relpath(folder / name)
            say(f"{name} is of other weights, and is told no more: delete {place}, or export it")
    return rows
