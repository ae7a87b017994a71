"""The record of the gate: ``exports/RUN/gate/NAME.json`` of each artifact, and the manifest, which collects them.

The former is there as soon as its artifact was held against the run: the same command goes on with the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp import shapes
from rlexp.record import exports
from rlexp.record.exports import LEVEL, NUMBER, OR_NONE
from rlexp.shapes import COUNT, LONGEST, NAME, PATH, SHA256, TEXT, mapping, record

FOLDER = "gate"
ANY_TEXT = {"type": "string", "maxLength": LONGEST, "description": "a text"}
SHARE = {"type": "number", "minimum": 0, "maximum": 1, "description": "a share"}
STATISTICS = mapping(record({"value": NUMBER, "error": NUMBER}), NAME)
BASELINE = {**STATISTICS, "required": ["mean_kld", "adapter_share"]}
DIVERGENCE = {**STATISTICS, "required": ["mean_kld", "p99.9_kld", "same_top_p", "adapter_share"]}
NAMES = {"type": "array", "items": PATH, "maxItems": 100_000}
IDS = {"type": "array", "items": COUNT, "maxItems": 100_000}
DIFFERING = record({"name": PATH, "reference": {}, "artifact": {}})
SHOWN = {"type": "array", "items": DIFFERING, "maxItems": 100}
PROMPTS = record(
    {"compared": COUNT, "refused": mapping(ANY_TEXT, PATH, 100_000)}
    | dict.fromkeys(("texts_differ", "ids_differ", "tokenized_differ"), NAMES)
    | dict.fromkeys(("shown", "shown_ids"), SHOWN)
)
BASELINES = record({"q8_0": BASELINE, "q4_0": BASELINE})
LIVED = record(
    {
        **{"loaded": ANY_TEXT, "load_s": NUMBER, "tokens_per_s": NUMBER, "peak_gib": NUMBER, "prompts": PROMPTS},
        **{"ends": record(dict.fromkeys(("reference", "artifact", "missing", "cutting"), IDS))},
        **{"greedy": record({"rows": COUNT, "same": OR_NONE, "first_divergence": OR_NONE})},
        **{"first": ANY_TEXT, "prompt": record({"text": ANY_TEXT}), "baselines": BASELINES},
        **{"stopped": record({"reference": SHARE, "artifact": SHARE})},
        "divergence": {"anyOf": [DIVERGENCE, {"type": "null"}], "description": "the statistics, or null"},
    },
    {"no_divergence": ANY_TEXT},
)
FOUND = {
    "if": {"type": "object", "required": ["died"]},
    "then": record({"died": ANY_TEXT, "baselines": BASELINES}),
    "else": LIVED,
}
"""What was measured of an artifact."""
KEPT = record({"key": SHA256, "found": FOUND})
TASK = record({"metric": PATH, "mean": OR_NONE, "low": OR_NONE, "high": OR_NONE, "margin": NUMBER})
OR_NULL = {"type": "null"}
ARTIFACT = record(
    {name: exports.SCHEMA["properties"][name] for name in exports.TOLD}
    | {
        **{"files": exports.SCHEMA["properties"]["files"], "bytes": COUNT, "verdict": LEVEL, "gate": FOUND},
        "reasons": {"type": "array", "items": record({"name": NAME, "level": LEVEL, "why": ANY_TEXT}), "minItems": 1},
        "task": {"anyOf": [TASK, OR_NULL], "description": "a difference, or null"},
        "snippet": {
            "anyOf": [record({"program": TEXT, "same": {"type": "boolean"}, "said": ANY_TEXT}), OR_NULL],
            "description": "a program with what it said, or null",
        },
    },
    {"modelfile": {"type": ["string", "null"], "maxLength": LONGEST}},
)
SCHEMA = record(
    {
        **{"format": {"const": exports.FORMAT}, "of": exports.OF, "artifacts": mapping(ARTIFACT, NAME)},
        "prompt": {"anyOf": [record({"text": ANY_TEXT}), OR_NULL], "description": "a prompt, or null"},
    },
    {"ship": record({"name": {"anyOf": [NAME, OR_NULL], "description": "an artifact, or null"}, "why": ANY_TEXT})},
)
"""The shape of ``manifest.json``."""


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an export, without control characters; empty where there is none.

    Raises:
        RunError: it has another shape.
    """
    return shapes.read_json(folder / exports.MANIFEST, SCHEMA, "manifest of the export", shown=True) or {}


def kept(folder: Path, name: str, key: str) -> dict[str, Any] | None:
    """What was measured of an artifact; None where nothing was, or something else.

    Args:
        key: what was measured, by hash.

    Raises:
        RunError: it has another shape.
    """
    content = shapes.read_json(folder / FOLDER / f"{name}.json", KEPT, "gate")
    return content["found"] if content and content["key"] == key else None


def keep(folder: Path, name: str, key: str, found: dict[str, Any]) -> None:
    """Keeps what was measured of an artifact."""
    exports.write_json(folder / FOLDER / f"{name}.json", {"key": key, "found": found})
