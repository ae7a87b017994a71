"""The record of a benchmark: ``exports/RUN/benchmark.json``, and ``exports/RUN/benchmark/NAME.json`` of each artifact.

The latter is there as soon as its artifact was measured: the same command goes on with the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlexp import shapes
from rlexp.record import exports
from rlexp.record.exports import NUMBER, OR_NONE, RUNTIME
from rlexp.shapes import COUNT, NAME, PATH, SHA256, TEXT, mapping, record

FOLDER, FILE = "benchmark", "benchmark.json"
FORMAT = 1
SPREAD = {**mapping(NUMBER, {"enum": ["p50", "p95", "p99"]}), "description": "percentiles"}
SHARE = {"type": ["number", "null"], "minimum": 0, "maximum": 1, "description": "a share"}
LEVEL = record(
    {
        **{"together": COUNT, "requests": COUNT, "tokens": COUNT, "tokens_per_s": OR_NONE, "answers_per_s": OR_NONE},
        **{"first_token_s": SPREAD, "token_s": SPREAD, "answer_s": SPREAD},
    }
)
RATE = record(
    {
        **{"limit_s": NUMBER, "per_s": OR_NONE, "p99_s": OR_NONE, "above_per_s": OR_NONE},
        "bound": {"enum": ["runtime", "time"]},
        "trials": {"type": "array", "items": record({"per_s": NUMBER, "p99_s": OR_NONE}), "maxItems": 10_000},
    }
)
ODD = record({"outcome": {"enum": ["ended", "cut", "refused", "died"]}, "why": {"type": ["string", "null"]}})
DIED = {
    "anyOf": [record({"part": TEXT, "why": TEXT}), {"type": "null"}],
    "description": "null, or the part in which it died and why",
}
ESTIMATE = record({"mean": OR_NONE, "low": OR_NONE, "high": OR_NONE})
SCORE = record(
    {
        **{"task": PATH, "metric": PATH, "samples": COUNT, "prompts": COUNT, **ESTIMATE["properties"]},
        "pass_hat": mapping(ESTIMATE, {"type": "string", "pattern": r"\A[0-9]+\Z"}),
        **{"run": ESTIMATE, "file": PATH},
    }
)
MEASURED = record(
    {"died": DIED},
    {
        **{"loaded": TEXT, "load": record({"seconds": NUMBER, "imports_s": NUMBER}), "peak_gib": NUMBER},
        **{"levels": {"type": "array", "items": LEVEL, "maxItems": 100}, "rate": RATE},
        "repeated": record({"repeats": COUNT, "together": COUNT, "alone": SHARE, "crowd": SHARE}),
        "odd": mapping(ODD, PATH),
        "quality": record(
            {"answers": COUNT, "ended": SHARE, "garbage": SHARE, "by_rule": mapping(COUNT, NAME)},
        ),
    },
)
MACHINE = record(
    {"processor": TEXT, "cpus": {"type": ["integer", "null"]}},
    {"threads": COUNT, "gpus": {"type": "array", "items": TEXT, "maxItems": 1000}},
)
ARTIFACT = record(
    {
        **MEASURED["properties"],
        **{"kind": NAME, "type": NAME, "runtime": RUNTIME, "bytes": COUNT, "tools": mapping(TEXT, NAME)},
        "score": {"anyOf": [SCORE, {"type": "null"}]},
    }
)
ARTIFACT["required"] = ["died", "kind", "type", "runtime", "bytes", "tools", "score"]
SCHEMA = record(
    {
        "format": {"const": FORMAT},
        "of": exports.OF,
        "machine": MACHINE,
        "settings": record({"requests": COUNT, "seconds": NUMBER, "p99": OR_NONE, "max_new_tokens": COUNT}),
        "artifacts": mapping(ARTIFACT, NAME),
        "slow": {"type": "array", "items": TEXT, "maxItems": 10_000},
    }
)
"""The shape of ``benchmark.json``."""
KEPT = record({"key": SHA256, "found": MEASURED})
"""That of an artifact's own file."""


def read(folder: Path) -> dict[str, Any] | None:
    """The benchmark of an export; None where there is none.

    Raises:
        RunError: it has another shape.
    """
    return shapes.read_json(folder / FILE, SCHEMA, "benchmark", shown=True)


def write(folder: Path, content: dict[str, Any]) -> None:
    """Writes it."""
    exports.write_json(folder / FILE, content)


def kept(folder: Path, name: str, key: str) -> dict[str, Any] | None:
    """What was measured of an artifact; None where nothing was, or something else.

    Args:
        key: what it is of, by hash.

    Raises:
        RunError: it has another shape.
    """
    content = shapes.read_json(folder / FOLDER / f"{name}.json", KEPT, "benchmark", shown=True)
    return content["found"] if content and content["key"] == key else None


def keep(folder: Path, name: str, key: str, found: dict[str, Any]) -> None:
    """Keeps what was measured of an artifact."""
    exports.write_json(folder / FOLDER / f"{name}.json", {"key": key, "found": found})
