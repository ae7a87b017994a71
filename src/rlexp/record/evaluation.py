"""The record of an evaluation: what was asked of which weights, every sample, and what came out.

``evaluation/KEY/evaluation.json`` holds it; ``evaluation/samples/`` the samples, a file for a task and a subject, which
every evaluation beside it shares. Nothing in them depends on when it was made: twice on a CPU gives the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rlexp import files, shapes
from rlexp.inputs.digest import json_sha256
from rlexp.shapes import COUNT, INSIDE, NAME, SHA256, TEXT, mapping, record

FOLDER, FILE, SAMPLES, COST = "evaluation", "evaluation.json", "samples", "cost.json"
FORMAT = 1
OR_NONE = {"type": ["number", "null"]}
KEY = {"type": "string", "pattern": r"\A[0-9a-f]{16}\Z", "description": "16 hexadecimal digits"}
SHOWN = {"type": "string", "maxLength": 4000, "pattern": r"\A[^\x00-\x1f\x7f-\x9f]+\Z", "description": "a name"}
TASK_NAME = {"type": "string", "maxLength": 200, "pattern": r"\A[\w.:-]+\Z", "description": "the name of a task"}
METRIC = {"type": "string", "maxLength": 200, "pattern": r"\A[\w@^./+-]+\Z", "description": "the name of a metric"}
ESTIMATE = record(
    {"mean": OR_NONE, "low": OR_NONE, "high": OR_NONE, "error": OR_NONE, "method": TEXT, "prompts": COUNT},
    {"samples": COUNT, "unscored": COUNT, "data_noise": OR_NONE, "prediction_noise": OR_NONE},
)
DIFFERENCE = record(
    {
        **{"metric": METRIC, "one": SHOWN, "other": SHOWN, "method": TEXT, "prompts": COUNT},
        **{"mean": OR_NONE, "low": OR_NONE, "high": OR_NONE, "p": OR_NONE},
    },
    {"p_holm": OR_NONE, "claimed": {"type": "boolean"}, "data_noise": OR_NONE, "prediction_noise": OR_NONE},
)
FORGOTTEN = record(
    {
        **{"task": TASK_NAME, "subject": SHOWN, "base": SHOWN, "metric": METRIC},
        **{"mean": OR_NONE, "low": OR_NONE, "high": OR_NONE},
    }
)
ROWS = {"type": "array", "items": COUNT}
SAMPLED = record({}, {"temperature": OR_NONE, "samples": {"type": ["integer", "null"]}})
"""How a task was sampled, among other keys."""
SHARED = record({"rows": COUNT, "exact": ROWS, "near": ROWS})
SCHEMA = record(
    {
        "format": {"const": FORMAT},
        "tasks": mapping(record({"version": COUNT, "kind": NAME}, {"config": SAMPLED}), TASK_NAME),
        "subjects": mapping(record({"digest": {"type": "object"}}), SHOWN),
        "samples": mapping(mapping(record({"file": INSIDE, "sha256": SHA256}), SHOWN), TASK_NAME),
        "results": mapping(mapping(mapping(ESTIMATE, METRIC), SHOWN), TASK_NAME),
        "differences": mapping({"type": "array", "items": DIFFERENCE, "maxItems": 10_000}, TASK_NAME),
        "seed": COUNT,
        "engine": NAME,
    },
    {
        "detectable": mapping(OR_NONE, TASK_NAME),
        "forgotten": {"type": "array", "items": FORGOTTEN, "maxItems": 10_000},
        "general": {"type": "array", "items": TASK_NAME, "maxItems": 10_000},
        "contamination": mapping(mapping(SHARED, SHOWN), TASK_NAME),
        "rescored": record({"of": KEY}),
    },
)


def key_of(locked: dict[str, Any]) -> str:
    """The name of an evaluation's folder: the hash of what it locks."""
    return json_sha256(locked)[:16]


def samples_file(task: str, digests: dict[str, Any]) -> str:
    """The file of the samples of a task and a subject, within the folder of evaluations.

    Args:
        digests: what they are, by hash.
    """
    return f"{SAMPLES}/{task.replace(':', '_')}-{json_sha256(digests)[:16]}.parquet"


def write(folder: Path, content: dict[str, Any]) -> Path:
    """Writes an evaluation below a folder of evaluations.

    Returns:
        Its file.
    """
    path = folder / content["key"] / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return path


def read(file: Path) -> dict[str, Any]:
    """An evaluation, held against its shape.

    Raises:
        RunError: it cannot be read, or is none.
    """
    return shapes.read_json(file, SCHEMA, "evaluation")


def of_run(run_dir: Path) -> list[Path]:
    """The files of a run's evaluations."""
    return sorted((run_dir / FOLDER).glob(f"*/{FILE}"))
